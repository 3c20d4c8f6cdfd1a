// Vercel's AI SDK, with OpenAI's provider (which speaks responses) and the one for anything alike (which speaks chat).

import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, Output, generateText, jsonSchema, streamText, tool } from 'ai';

import { Note, TOOLS } from './contract.mjs';

const used = (usage) => ({ prompt: usage.inputTokens, completion: usage.outputTokens });
/** Errors of a stream go to `onError` and into the stream's parts; the text alone would just end. */
const quiet = { onError: () => {} };

function sdk(model, { failures, ...more } = {}) {
  const ask = (at, prompt, options) => ({ model: model(at), prompt, maxRetries: at.retries, ...options });
  return {
    provider: 'openai',
    // It does not read `x-should-retry`.
    retries: 0,
    failures: {
      401: { kind: APICallError, status: 401 },
      404: { kind: APICallError, status: 404 },
      429: { kind: APICallError, status: 429 },
      budget: { kind: APICallError, status: 429 },
      // What the stream's error part holds is no `Error`.
      cut: { kind: Object },
      'mid-stream': { kind: Object },
      second: { kind: APICallError, status: 502 },
      'second, overloaded': { kind: APICallError, status: 503 },
      timeout: { kind: APICallError, status: 504 },
      ...failures,
    },
    status: (error) => error.statusCode,

    async plain(at, prompt) {
      const answer = await generateText(ask(at, prompt));
      if (answer.finishReason !== 'stop') throw new Error(answer.finishReason);
      return answer.text;
    },

    async *stream(at, prompt) {
      let finish;
      for await (const part of streamText(ask(at, prompt, quiet)).fullStream) {
        if (part.type === 'text-delta') yield part.text;
        if (part.type === 'error') throw part.error;
        if (part.type === 'finish') finish = part.finishReason;
      }
      if (finish !== 'stop') throw new Error('a stream that breaks off must show an error');
    },

    async tools(at, prompt) {
      const tools = Object.fromEntries(
        Object.entries(TOOLS).map(([name, { description, parameters }]) => [name, tool({ description, inputSchema: jsonSchema(parameters) })]),
      );
      const answer = streamText(ask(at, prompt, { ...quiet, tools }));
      const calls = await answer.toolCalls;
      if ((await answer.finishReason) !== 'tool-calls') throw new Error(await answer.finishReason);
      return calls.map(({ toolName, input }) => ({ name: toolName, arguments: input }));
    },

    async structured(at, prompt) {
      return (await generateText(ask(at, prompt, { output: Output.object({ schema: Note }) }))).output;
    },

    async usage(at, prompt) {
      return used((await generateText(ask(at, prompt))).usage);
    },

    async streamUsage(at, prompt) {
      return used(await streamText(ask(at, prompt, quiet)).usage);
    },
    ...more,
  };
}

export const responses = sdk((at) => createOpenAI({ baseURL: `${at.gateway}/v1`, apiKey: at.key })(at.model), {
  failures: { cut: { kind: Object, status: 500 }, 'mid-stream': { kind: Object, status: 500 } },
});

const compatible = (at, more) =>
  createOpenAICompatible({ name: 'peerway', baseURL: `${at.gateway}/v1`, apiKey: at.key, supportsStructuredOutputs: true, ...more })(at.model);

export const chat = sdk(compatible, {
  // Without being told to it does not ask for usage in streams, and must not be sent any.
  async silent(at, prompt) {
    const usage = await streamText({ model: compatible(at), prompt, maxRetries: 0, ...quiet }).usage;
    if (usage.outputTokens !== undefined) throw new Error('usage was not asked for');
  },

  async streamUsage(at, prompt) {
    return used(await streamText({ model: compatible(at, { includeUsage: true }), prompt, maxRetries: 0, ...quiet }).usage);
  },
});
