// Starts `peerway demo --json` on free ports for one test file, and ends it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';

export const binary = process.env.PEERWAY_BIN ?? fileURLToPath(new URL('../../target/release/peerway', import.meta.url));

async function free(port) {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** A free port below the range from which the kernel takes client ports. */
export async function freePort() {
  for (let tries = 0; tries < 200; tries += 1) {
    const port = 11_000 + Math.floor(Math.random() * 20_000);
    if (await free(port)) return port;
  }
  throw new Error('no free port between 11000 and 31000');
}

/** A base port whose TCP block is free; the UDP ports beside it are tried by the demo itself, which names one in use. */
async function base() {
  for (let tries = 0; tries < 200; tries += 1) {
    const port = 11_000 + Math.floor(Math.random() * 20_000);
    const block = [0, 1, 2, 3, 101, 102, 103, 200].map((offset) => port + offset);
    if ((await Promise.all(block.map(free))).every(Boolean)) return port;
  }
  throw new Error('no free block of ports between 11000 and 31000');
}

async function within(seconds, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${seconds} s`)), seconds * 1000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export class Demo {
  static async start() {
    const child = spawn(binary, ['demo', '--json', '--http-port', String(await base())], { stdio: ['ignore', 'pipe', 'inherit'] });
    // Whatever ends the tests, the demo goes too, and its nodes with it.
    process.on('exit', () => child.kill('SIGKILL'));
    const lines = createInterface({ input: child.stdout });
    const ended = once(child, 'exit').then(([code, signal]) => {
      throw new Error(`the demo ended with ${code ?? signal} before it was ready`);
    });
    ended.catch(() => {});
    const [line] = await within(60, 'the JSON line of the demo', Promise.race([once(lines, 'line'), ended]));
    return new Demo(child, JSON.parse(line));
  }

  constructor(child, line) {
    this.child = child;
    Object.assign(this, line);
  }

  /** From now on these fault rules and no others; none without arguments. */
  async faults(...rules) {
    const answer = await fetch(`${this.provider}/faults`, { method: 'POST', body: JSON.stringify(rules) });
    if (!answer.ok) throw new Error(await answer.text());
  }

  async bill() {
    return (await fetch(`${this.provider}/bill`)).json();
  }

  async reset() {
    await this.faults();
    await fetch(`${this.provider}/reset`, { method: 'POST' });
  }

  async stop() {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    const [code] = await within(40, 'the end of the demo', ended);
    return code;
  }
}
