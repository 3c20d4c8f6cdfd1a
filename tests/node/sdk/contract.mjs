// What every SDK is asked to do, in the table's own words; the same as in the Python table.
//
// A client has: `provider` (whose dialect it speaks), `retries` (of its own, where it reads `x-should-retry`),
// `failures` (by case: class, and status as the SDK tells it), and for `at` = { gateway, key, model, retries }:
// plain(at, prompt)       the answer's text
// stream(at, prompt)      its pieces as they come, an async iterator
// tools(at, prompt)       streams with TOOLS; [{ name, arguments }]
// structured(at, prompt)  an object that fits NOTE_SCHEMA
// usage(at, prompt)       { prompt, completion }
// streamUsage(at, prompt) the same of a stream, asked for in the SDK's own way where it has one
// silent(at, prompt)      where the SDK must be told to ask for that: fails if a stream shows it unasked

import { z } from 'zod';

export const TOOLS = {
  weather: {
    description: 'The weather in a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false },
  },
  clock: {
    description: 'The time in a zone',
    parameters: { type: 'object', properties: { zone: { type: 'string' } }, required: ['zone'], additionalProperties: false },
  },
};
export const tools = (each) => Object.entries(TOOLS).map(([name, tool]) => each(name, tool.description, tool.parameters));

export const Note = z.object({ title: z.string(), kind: z.enum(['memo', 'letter']), pages: z.number().int() });
/** The smallest answer to the schema, as the simulated provider gives it. */
export const EMPTY_NOTE = { title: '', kind: 'memo', pages: 0 };

export const PATIENCE = 20_000;
