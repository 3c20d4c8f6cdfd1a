// The cases of the table: what is asked, what goes wrong meanwhile, and what the user must get to see.

import assert from 'node:assert/strict';

import { EMPTY_NOTE } from './contract.mjs';
import { POOR, USER } from './gateway.mjs';

/** The providers of `peerway.yaml`, with a model for which SDKs and gateway know what it can do. */
export const PROVIDERS = {
  openai: 'gpt-4o',
  anthropic: 'claude-sonnet-4-6',
  gemini: 'gemini-2.5-flash',
  bedrock: 'anthropic.claude-sonnet-4-5-20250929-v1:0',
  cohere: 'command-a-03-2025',
};

/** What the simulated provider says in a stream that fails, as each vendor does. */
const ERRORS = {
  openai: 'The server had an error',
  anthropic: 'Overloaded',
  gemini: 'The model is overloaded',
  bedrock: 'The model produced an error',
  cohere: 'internal server error',
};
/** Those whose error is that they have too much to do, which some SDKs have another class or status for. */
const OVERLOADED = ['anthropic', 'gemini'];

/** So many events into a stream, every dialect has sent some of the text and none all of it. */
const PREAMBLE = 6;

export class Cell {
  constructor(gateway, sdk, provider, prompt) {
    Object.assign(this, { gateway, sdk, provider, prompt });
  }

  at(model, more) {
    return { gateway: this.gateway.url, key: USER, model, retries: 0, ...more };
  }

  get works() {
    return this.at(`${this.provider}/${PROVIDERS[this.provider]}`);
  }

  async fault(model, effect) {
    await this.gateway.faults({ match: { model }, do: effect });
  }

  /** What the user's own `catch` gets. */
  async refused(name, at, ask = (where, prompt) => this.sdk.plain(where, prompt)) {
    const { failures } = this.sdk;
    const overloaded = OVERLOADED.includes(this.provider) ? failures[`${name}, overloaded`] : undefined;
    const { kind, status } = overloaded ?? failures[name];
    let caught;
    await assert.rejects(ask(at, this.prompt), (error) => {
      caught = error;
      return true;
    });
    assert.equal(caught.constructor, kind, caught.stack ?? JSON.stringify(caught));
    assert.equal(this.sdk.status(caught), status);
    return caught;
  }

  /** What came before the failure is there, and then it is told. */
  async breaksOff(name, at) {
    let text = '';
    const error = await this.refused(name, at, async (where, prompt) => {
      for await (const piece of this.sdk.stream(where, prompt)) text += piece;
    });
    assert.ok(text && `echo: ${this.prompt}`.startsWith(text) && text.length < this.prompt.length, text);
    return error;
  }
}

export const CASES = {
  async plain(cell) {
    assert.equal(await cell.sdk.plain(cell.works, cell.prompt), `echo: ${cell.prompt}`);
  },

  async stream(cell) {
    const pieces = [];
    for await (const piece of cell.sdk.stream(cell.works, cell.prompt)) if (piece) pieces.push(piece);
    assert.equal(pieces.join(''), `echo: ${cell.prompt}`);
    assert.ok(pieces.length > 3, 'in pieces, as it was produced');
  },

  async tools(cell) {
    const calls = await cell.sdk.tools(cell.works, 'call weather {"city":"Bern"} clock {"zone":"CET"}');
    assert.deepEqual(calls, [
      { name: 'weather', arguments: { city: 'Bern' } },
      { name: 'clock', arguments: { zone: 'CET' } },
    ]);
  },

  async structured(cell) {
    assert.deepEqual(await cell.sdk.structured(cell.works, cell.prompt), EMPTY_NOTE);
  },

  async usage(cell) {
    const billed = async () => {
      const bill = await cell.gateway.bill();
      return { prompt: bill.prompt_tokens, completion: bill.completion_tokens };
    };
    assert.deepEqual(await cell.sdk.usage(cell.works, cell.prompt), await billed());
    await cell.sdk.silent?.(cell.works, cell.prompt);
    await cell.gateway.reset();
    assert.deepEqual(await cell.sdk.streamUsage(cell.works, cell.prompt), await billed());
  },

  async 401(cell) {
    const error = await cell.refused('401', { ...cell.works, key: 'sk-wrong', retries: cell.sdk.retries });
    assert.match(error.message, /key/);
    assert.equal(await cell.gateway.arrived(), 0);
  },

  async 404(cell) {
    const error = await cell.refused('404', cell.at('no-such-model', { retries: cell.sdk.retries }));
    assert.match(error.message, /no-such-model/);
  },

  async 429(cell) {
    await cell.fault('full', { status: 429, retry_after_ms: 50 });
    await cell.refused('429', cell.at(`${cell.provider}-once/full`));
  },

  async budget(cell) {
    const before = await cell.gateway.denied();
    const error = await cell.refused('budget', { ...cell.works, key: POOR, retries: cell.sdk.retries });
    assert.match(error.message, /budget of key `poor`/);
    assert.equal(await cell.gateway.denied(), before + 1, 'asked once: a retry cannot help');
    assert.equal(await cell.gateway.arrived(), 0);
  },

  async cut(cell) {
    await cell.fault('cut', { cut_after_events: PREAMBLE });
    await cell.breaksOff('cut', cell.at(`${cell.provider}/cut`));
  },

  async 'mid-stream'(cell) {
    await cell.fault('broken', { error_event_after: PREAMBLE });
    const error = await cell.breaksOff('mid-stream', cell.at(`${cell.provider}/broken`));
    // What a stream shows of an error is not always an `Error`.
    const shown = error instanceof Error ? error.message : JSON.stringify(error);
    assert.ok(shown.includes(ERRORS[cell.provider]), shown);
  },

  /** With another target nobody notices; without one it is an error as if there had been no stream. */
  async second(cell) {
    // Gemini's first event carries text already.
    const sound = cell.provider === 'gemini' ? 0 : 1;
    await cell.fault('second', { error_event_after: sound });
    let text = '';
    for await (const piece of cell.sdk.stream(cell.at(`second-${cell.provider}`), cell.prompt)) text += piece;
    assert.equal(text, `echo: ${cell.prompt}`);
    assert.deepEqual(Object.keys((await cell.gateway.bill()).by_model).sort(), ['second', 'spare']);

    await cell.fault('second-alone', { error_event_after: sound });
    await cell.refused('second', cell.at(`${cell.provider}-once/second-alone`, { retries: cell.sdk.retries }), async (at, prompt) => {
      for await (const piece of cell.sdk.stream(at, prompt)) assert.equal(piece, '');
    });
  },

  async timeout(cell) {
    await cell.fault('hang', { hang: true });
    await cell.refused('timeout', cell.at(`${cell.provider}-once/hang`, { retries: cell.sdk.retries }));
    assert.equal(await cell.gateway.arrived(), 1, 'asked once: the gateway has made the retries there are');
  },
};

/** By the gateway itself: whichever provider there is, it is not asked. */
export const REFUSED = ['401', '404', 'budget'];
/** The order of the table. */
export const ORDER = ['plain', 'stream', 'tools', 'structured', 'usage', '401', '404', '429', 'budget', 'cut', 'mid-stream', 'second', 'timeout'];
