// Anthropic's client.

import Anthropic, { APIError } from '@anthropic-ai/sdk';
import { GatewayTimeoutError, ServiceUnavailableError } from '@anthropic-ai/sdk/error';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';

import { Note, PATIENCE, tools } from './contract.mjs';

const client = (at) => new Anthropic({ baseURL: `${at.gateway}/anthropic`, apiKey: at.key, maxRetries: at.retries, timeout: PATIENCE });
const ask = (at, prompt, more) => ({ model: at.model, max_tokens: 1000, messages: [{ role: 'user', content: prompt }], ...more });
const used = (usage) => ({ prompt: usage.input_tokens, completion: usage.output_tokens });

export const anthropic = {
  provider: 'anthropic',
  retries: 2,
  failures: {
    401: { kind: Anthropic.AuthenticationError, status: 401 },
    404: { kind: Anthropic.NotFoundError, status: 404 },
    429: { kind: Anthropic.RateLimitError, status: 429 },
    budget: { kind: Anthropic.RateLimitError, status: 429 },
    cut: { kind: APIError },
    'mid-stream': { kind: APIError },
    second: { kind: Anthropic.InternalServerError, status: 502 },
    'second, overloaded': { kind: ServiceUnavailableError, status: 503 },
    timeout: { kind: GatewayTimeoutError, status: 504 },
  },
  status: (error) => error.status,

  async plain(at, prompt) {
    const answer = await client(at).messages.create(ask(at, prompt));
    if (answer.stop_reason !== 'end_turn') throw new Error(answer.stop_reason);
    return answer.content.map((block) => block.text).join('');
  },

  async *stream(at, prompt) {
    let stop;
    for await (const event of await client(at).messages.create(ask(at, prompt, { stream: true }))) {
      if (event.type === 'content_block_delta') yield event.delta.text;
      if (event.type === 'message_delta') stop = event.delta.stop_reason;
    }
    if (stop !== 'end_turn') throw new Error('a stream that breaks off must raise');
  },

  async tools(at, prompt) {
    const list = tools((name, description, schema) => ({ name, description, input_schema: schema }));
    const message = await client(at).messages.stream(ask(at, prompt, { tools: list })).finalMessage();
    if (message.stop_reason !== 'tool_use') throw new Error(message.stop_reason);
    return message.content.filter((block) => block.type === 'tool_use').map((block) => ({ name: block.name, arguments: block.input }));
  },

  async structured(at, prompt) {
    return (await client(at).messages.parse(ask(at, prompt, { output_config: { format: zodOutputFormat(Note) } }))).parsed_output;
  },

  async usage(at, prompt) {
    return used((await client(at).messages.create(ask(at, prompt))).usage);
  },

  async streamUsage(at, prompt) {
    return used((await client(at).messages.stream(ask(at, prompt)).finalMessage()).usage);
  },
};
