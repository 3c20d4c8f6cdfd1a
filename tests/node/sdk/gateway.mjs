// One node and one simulated provider, from the file that the Python clients use too.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { binary, freePort } from '../demo.mjs';

const file = (name) => fileURLToPath(new URL(`../../sdk/${name}`, import.meta.url));

export const USER = 'sk-user';
/** A key whose budget no request fits into. */
export const POOR = 'sk-poor';

export class Gateway {
  static async start() {
    const folder = mkdtempSync(join(tmpdir(), 'peerway-sdks-'));
    const ports = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
    const [provider, http, admin, cluster] = ports.map((port) => `127.0.0.1:${port}`);
    const gateway = new Gateway(folder, `http://${provider}`, `http://${http}`, `http://${admin}`);
    gateway.spawn(['simulate-provider', '--listen', provider]);
    gateway.spawn(
      ['serve', '--config', file('peerway.yaml'), '--http', http, '--admin', admin, '--cluster', cluster, '--data-dir', join(folder, 'data')],
      { PROVIDER: gateway.provider, PRICES: file('prices.yaml') },
    );
    await gateway.ready();
    return gateway;
  }

  constructor(folder, provider, url, admin) {
    Object.assign(this, { folder, provider, url, admin, children: [] });
  }

  spawn(args, more = {}) {
    const output = { stdio: ['ignore', 'ignore', 'ignore'] };
    const kept = Object.entries(process.env).filter(([name]) => !/API_KEY|PEERWAY_|RUST_LOG|_proxy$/i.test(name));
    const child = spawn(binary, args, { ...output, env: { ...Object.fromEntries(kept), ...more } });
    // Whatever ends the tests, these go too.
    process.on('exit', () => child.kill('SIGKILL'));
    this.children.push(child);
  }

  async ready() {
    const deadline = Date.now() + 30_000;
    for (;;) {
      const serves = async () => {
        const [ready, status] = await Promise.all([fetch(`${this.url}/readyz`), fetch(`${this.admin}/cluster/status`)]);
        return ready.ok && (await status.json()).ledger.active;
      };
      if (await serves().catch(() => false)) return;
      if (Date.now() > deadline) throw new Error('the gateway of the table is not ready within 30 s');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** From now on these fault rules and no others. */
  async faults(...rules) {
    const answer = await fetch(`${this.provider}/faults`, { method: 'POST', body: JSON.stringify(rules) });
    if (!answer.ok) throw new Error(await answer.text());
  }

  async reset() {
    await this.faults();
    await fetch(`${this.provider}/reset`, { method: 'POST' });
  }

  async bill() {
    return (await fetch(`${this.provider}/bill`)).json();
  }

  /** Requests at the provider since its last reset, whatever became of them. */
  async arrived() {
    return (await (await fetch(`${this.provider}/requests?last=50`)).json()).requests.length;
  }

  /** Requests refused for a budget so far. */
  async denied() {
    const lines = (await (await fetch(`${this.admin}/metrics`)).text()).split('\n');
    const samples = lines.filter((line) => line.startsWith('peerway_budget_denied_total'));
    return samples.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  async stop() {
    for (const child of this.children) {
      const ended = child.exitCode === null ? once(child, 'exit') : undefined;
      child.kill('SIGKILL');
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
