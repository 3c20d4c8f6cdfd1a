// Every SDK for Node at every kind of provider: what its user sees, when all is well and when it is not.
// The same table as the Python one, see tests/sdk.

import { after, before, describe, test } from 'node:test';

import * as ai from './sdk/ai.mjs';
import { anthropic } from './sdk/anthropic.mjs';
import { CASES, Cell, ORDER, PROVIDERS, REFUSED } from './sdk/cases.mjs';
import { Gateway } from './sdk/gateway.mjs';
import { google } from './sdk/google.mjs';
import { chat } from './sdk/openai.mjs';

const SDKS = {
  openai: chat,
  '@anthropic-ai/sdk': anthropic,
  '@google/genai': google,
  'ai, @ai-sdk/openai (responses)': ai.responses,
  'ai, @ai-sdk/openai-compatible': ai.chat,
};
/** By SDK, provider and case, with the reason. */
const NOT_APPLICABLE = {};

const green = {};

for (const [name, sdk] of Object.entries(SDKS)) {
  describe(name, () => {
    // One for each SDK: what the gateway learns of its providers from one SDK's failures must not meet the next SDK.
    let gateway;
    before(async () => {
      gateway = await Gateway.start();
    });
    after(() => gateway?.stop());

    for (const what of ORDER) {
      for (const provider of REFUSED.includes(what) ? ['itself'] : Object.keys(PROVIDERS)) {
        const skip = NOT_APPLICABLE[`${name} / ${provider} / ${what}`];
        test(`${provider} / ${what}`, { skip, timeout: 60_000 }, async () => {
          await gateway.reset();
          const prompt = `${name} says to ${provider}: one two three four five six seven eight nine ten`;
          await CASES[what](new Cell(gateway, sdk, provider === 'itself' ? sdk.provider : provider, prompt));
          ((green[name] ??= {})[what] ??= []).push(provider);
        });
      }
    }
  });
}

after(() => {
  const width = Math.max(...Object.keys(SDKS).map((name) => name.length));
  const row = (first, cells) => `${first.padEnd(width)}  ${cells.map((cell) => cell.padStart(10)).join(' ')}`;
  console.log(`Providers that each cell is green with (${Object.keys(PROVIDERS).join(', ')}); ${REFUSED.join(', ')}: refused by the gateway itself.`);
  console.log(row('', ORDER));
  for (const name of Object.keys(SDKS)) console.log(row(name, ORDER.map((what) => `${green[name]?.[what]?.length ?? 0}`)));
  for (const [cell, reason] of Object.entries(NOT_APPLICABLE)) console.log(`not applicable: ${cell}: ${reason}`);
});
