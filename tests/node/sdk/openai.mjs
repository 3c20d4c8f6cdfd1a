// The openai client: chat completions and responses.

import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';

import { Note, PATIENCE, tools } from './contract.mjs';

const client = (at) => new OpenAI({ baseURL: `${at.gateway}/v1`, apiKey: at.key, maxRetries: at.retries, timeout: PATIENCE });
const ask = (at, prompt, more) => ({ model: at.model, messages: [{ role: 'user', content: prompt }], ...more });
const used = (usage) => ({ prompt: usage.prompt_tokens, completion: usage.completion_tokens });

export const chat = {
  provider: 'openai',
  retries: 2,
  failures: {
    401: { kind: OpenAI.AuthenticationError, status: 401 },
    404: { kind: OpenAI.NotFoundError, status: 404 },
    429: { kind: OpenAI.RateLimitError, status: 429 },
    budget: { kind: OpenAI.RateLimitError, status: 429 },
    // An error in a stream has no status of its own.
    cut: { kind: OpenAI.APIError },
    'mid-stream': { kind: OpenAI.APIError },
    second: { kind: OpenAI.InternalServerError, status: 502 },
    'second, overloaded': { kind: OpenAI.InternalServerError, status: 503 },
    timeout: { kind: OpenAI.InternalServerError, status: 504 },
  },
  status: (error) => error.status,

  async plain(at, prompt) {
    const [choice] = (await client(at).chat.completions.create(ask(at, prompt))).choices;
    if (choice.finish_reason !== 'stop') throw new Error(choice.finish_reason);
    return choice.message.content;
  },

  async *stream(at, prompt) {
    let finish;
    for await (const chunk of await client(at).chat.completions.create(ask(at, prompt, { stream: true }))) {
      finish = chunk.choices[0]?.finish_reason ?? finish;
      yield chunk.choices[0]?.delta?.content ?? '';
    }
    if (finish !== 'stop') throw new Error('a stream that breaks off must raise');
  },

  async tools(at, prompt) {
    const list = tools((name, description, parameters) => ({ type: 'function', function: { name, description, parameters } }));
    const stream = client(at).chat.completions.stream(ask(at, prompt, { tools: list }));
    const message = await stream.finalMessage();
    return message.tool_calls.map((call) => ({ name: call.function.name, arguments: JSON.parse(call.function.arguments) }));
  },

  async structured(at, prompt) {
    const format = zodResponseFormat(Note, 'Note');
    return (await client(at).chat.completions.parse(ask(at, prompt, { response_format: format }))).choices[0].message.parsed;
  },

  async usage(at, prompt) {
    return used((await client(at).chat.completions.create(ask(at, prompt))).usage);
  },

  async streamUsage(at, prompt) {
    let last;
    const stream = await client(at).chat.completions.create(ask(at, prompt, { stream: true, stream_options: { include_usage: true } }));
    for await (const chunk of stream) last = chunk;
    return used(last.usage);
  },
};
