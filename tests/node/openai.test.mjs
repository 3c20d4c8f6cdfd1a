// The openai client for Node: answers, streams, and the error classes that its users expect.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import OpenAI from 'openai';

import { Demo } from './demo.mjs';

const messages = [{ role: 'user', content: 'Hello, Peerway!' }];
let demo;
let client;

before(async () => {
  demo = await Demo.start();
  client = new OpenAI({ baseURL: `${demo.front}/v1`, apiKey: demo.key, maxRetries: 0, timeout: 30_000 });
});
after(async () => assert.equal(await demo.stop(), 0));
beforeEach(() => demo.reset());

async function text(stream) {
  let whole = '';
  for await (const chunk of stream) whole += chunk.choices[0]?.delta?.content ?? '';
  return whole;
}

test('chat', async () => {
  const answer = await client.chat.completions.create({ model: 'demo/echo', messages });
  assert.match(answer.choices[0].message.content, /Hello, Peerway!/);
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
  assert.ok(answer._request_id);
});

test('stream', async () => {
  const stream = await client.chat.completions.create({ model: 'demo/echo', messages, stream: true });
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  assert.match(chunks.map((c) => c.choices[0].delta.content ?? '').join(''), /Hello, Peerway!/);
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
  assert.ok(chunks.every((c) => !c.usage), 'usage was not asked for');
});

test('usage in the stream', async () => {
  const stream = await client.chat.completions.create({ model: 'demo/echo', messages, stream: true, stream_options: { include_usage: true } });
  let last;
  for await (const chunk of stream) last = chunk;
  assert.deepEqual(last.choices, []);
  const bill = await demo.bill();
  assert.equal(last.usage.completion_tokens, bill.completion_tokens);
  assert.equal(last.usage.prompt_tokens, bill.prompt_tokens);
});

test('the stream helper', async () => {
  const runner = client.chat.completions.stream({ model: 'demo/slow', messages });
  const final = await runner.finalChatCompletion();
  assert.equal(final.choices[0].finish_reason, 'stop');
  assert.ok(final.choices[0].message.content.length > 0);
});

for (const base of ['/v1', '/openai/v1', '/openai', '/litellm', '/langchain', '']) {
  test(`base URL ${base || 'bare'}`, async () => {
    const other = client.withOptions({ baseURL: demo.front + base });
    const answer = await other.chat.completions.create({ model: 'demo/echo', messages });
    assert.match(answer.choices[0].message.content, /Hello/);
  });
}

test('models', async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes('demo/echo') && ids.includes('demo/slow'), ids.join());
});

test('wrong key', async () => {
  const stranger = client.withOptions({ apiKey: 'sk-wrong' });
  await assert.rejects(stranger.chat.completions.create({ model: 'demo/echo', messages }), (error) => {
    assert.ok(error instanceof OpenAI.AuthenticationError, error.constructor.name);
    assert.equal(error.code, 'invalid_api_key');
    assert.ok(error.requestID);
    return true;
  });
});

test('unknown model', async () => {
  await assert.rejects(client.chat.completions.create({ model: 'demo/none', messages }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError, error.constructor.name);
    assert.equal(error.code, 'model_not_found');
    return true;
  });
});

test('a 429 of the provider', async () => {
  await demo.faults({ match: {}, do: { status: 429, retry_after_ms: 100 } });
  await assert.rejects(client.chat.completions.create({ model: 'demo/echo', messages }), (error) => {
    assert.ok(error instanceof OpenAI.RateLimitError, error.constructor.name);
    assert.ok(error.headers.get('retry-after'));
    return true;
  });
});

test('a 429 that passes is healed by the client\'s own retry', async () => {
  await demo.faults({ match: { first: 1 }, do: { status: 429, retry_after_ms: 100 } });
  const patient = client.withOptions({ maxRetries: 2 });
  const answer = await patient.chat.completions.create({ model: 'demo/echo', messages });
  assert.match(answer.choices[0].message.content, /Hello/);
});

test('a cut stream raises and never ends quietly', async () => {
  await demo.faults({ match: {}, do: { cut_after_events: 3 } });
  const stream = await client.chat.completions.create({ model: 'demo/echo', messages, stream: true });
  await assert.rejects(text(stream), OpenAI.APIError);
});

test('an error event in the stream raises', async () => {
  await demo.faults({ match: {}, do: { error_event_after: 3 } });
  const stream = await client.chat.completions.create({ model: 'demo/echo', messages, stream: true });
  await assert.rejects(text(stream), OpenAI.APIError);
});

test('a stream without an end stops some time after its client has broken it off', async () => {
  await demo.faults({ match: {}, do: { endless: true, token_ms: 5 } });
  const stream = await client.chat.completions.create({ model: 'demo/echo', messages, stream: true });
  for await (const chunk of stream) if (chunk.choices[0]?.delta?.content) break;
  // The key has a budget: it is read on for half a minute, as its usage would tell what it costs.
  const deadline = Date.now() + 45_000;
  for (;;) {
    const earlier = (await demo.bill()).completion_tokens;
    await new Promise((resolve) => setTimeout(resolve, 300));
    if ((await demo.bill()).completion_tokens === earlier) break;
    assert.ok(Date.now() < deadline, 'the provider still produces tokens');
  }
});

test('request ids', async () => {
  const { response } = await client.chat.completions
    .create({ model: 'demo/echo', messages }, { headers: { 'x-request-id': 'my-own' } })
    .withResponse();
  assert.equal(response.headers.get('x-request-id'), 'my-own');
  assert.equal(response.headers.get('request-id'), 'my-own');
});

test('the cache', async () => {
  const ask = async () => {
    const headers = { 'x-peerway-cache-key': `node-${process.pid}` };
    const { response } = await client.chat.completions.create({ model: 'demo/echo', messages }, { headers }).withResponse();
    return response.headers.get('x-peerway-cache');
  };
  assert.equal(await ask(), 'miss');
  // The answer does not wait for the entry's owner, so the first looks may come too early.
  const deadline = Date.now() + 5_000;
  while ((await ask()) !== 'hit-direct') assert.ok(Date.now() < deadline, 'never a hit');
});
