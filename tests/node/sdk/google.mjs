// Google's client for Gemini.

import { ApiError, GoogleGenAI } from '@google/genai';
import { z } from 'zod';

import { Note, PATIENCE, tools } from './contract.mjs';

const client = (at) => new GoogleGenAI({ apiKey: at.key, httpOptions: { baseUrl: `${at.gateway}/genai`, timeout: PATIENCE } });
const ask = (at, prompt, config) => ({ model: at.model, contents: prompt, config });

function used({ usageMetadata: usage }) {
  return { prompt: usage.promptTokenCount, completion: usage.candidatesTokenCount };
}

export const google = {
  provider: 'gemini',
  retries: 0,
  failures: {
    401: { kind: ApiError, status: 401 },
    404: { kind: ApiError, status: 404 },
    429: { kind: ApiError, status: 429 },
    budget: { kind: ApiError, status: 429 },
    cut: { kind: ApiError, status: 502 },
    'mid-stream': { kind: ApiError, status: 502 },
    'mid-stream, overloaded': { kind: ApiError, status: 503 },
    second: { kind: ApiError, status: 502 },
    'second, overloaded': { kind: ApiError, status: 503 },
    timeout: { kind: ApiError, status: 504 },
  },
  status: (error) => error.status,

  async plain(at, prompt) {
    const answer = await client(at).models.generateContent(ask(at, prompt));
    if (answer.candidates[0].finishReason !== 'STOP') throw new Error(answer.candidates[0].finishReason);
    return answer.text;
  },

  async *stream(at, prompt) {
    let finish;
    for await (const chunk of await client(at).models.generateContentStream(ask(at, prompt))) {
      finish = chunk.candidates?.[0]?.finishReason ?? finish;
      yield chunk.text ?? '';
    }
    if (finish !== 'STOP') throw new Error('a stream that breaks off must raise');
  },

  async tools(at, prompt) {
    const functionDeclarations = tools((name, description, parametersJsonSchema) => ({ name, description, parametersJsonSchema }));
    const calls = [];
    for await (const chunk of await client(at).models.generateContentStream(ask(at, prompt, { tools: [{ functionDeclarations }] }))) {
      calls.push(...(chunk.functionCalls ?? []));
    }
    return calls.map(({ name, args }) => ({ name, arguments: args }));
  },

  async structured(at, prompt) {
    const config = { responseMimeType: 'application/json', responseJsonSchema: z.toJSONSchema(Note) };
    return Note.parse(JSON.parse((await client(at).models.generateContent(ask(at, prompt, config))).text));
  },

  async usage(at, prompt) {
    return used(await client(at).models.generateContent(ask(at, prompt)));
  },

  async streamUsage(at, prompt) {
    let last;
    for await (const chunk of await client(at).models.generateContentStream(ask(at, prompt))) last = chunk;
    return used(last);
  },
};
