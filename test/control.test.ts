/** @file The folder lock and the control socket. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acquireFolderLock, askControl, serveControl } from '../core/control.ts';
import type { ControlServer } from '../core/control.ts';
import { TributaryError } from '../core/errors.ts';

let folder: string;
let servers: ControlServer[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-control-'));
});
afterEach(async () => {
  for (const server of servers) await server.close();
  servers = [];
  rmSync(folder, { recursive: true });
});

async function serve(path: string, handlers: Parameters<typeof serveControl>[1]): Promise<void> {
  servers.push(await serveControl(path, handlers));
}

describe('folder lock', () => {
  it('is held by one and can be taken after its release', () => {
    const lock = acquireFolderLock(folder);
    expect(() => acquireFolderLock(folder)).toThrow(expect.objectContaining({ code: 'folder.locked' }));
    expect(() => acquireFolderLock(folder)).toThrow(`(${process.pid})`);
    lock.release();
    lock.release();
    acquireFolderLock(folder).release();
  });

  it('of another process holds, and falls when that process is killed', async () => {
    const sqlite = createRequire(import.meta.url).resolve('better-sqlite3');
    const script = `const D = require(${JSON.stringify(sqlite)});
      const d = new D(${JSON.stringify(join(folder, 'lock.sqlite'))}); d.exec('BEGIN EXCLUSIVE');
      console.log('held'); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    expect(() => acquireFolderLock(folder)).toThrow(expect.objectContaining({ code: 'folder.locked' }));
    child.kill('SIGKILL');
    await once(child, 'exit');
    acquireFolderLock(folder).release();
  });
});

describe('control socket', () => {
  it('answers, with fields of the request, only to its owner', async () => {
    await serve(folder, { echo: (request) => Promise.resolve({ got: request }), nothing: () => undefined });
    expect(await askControl(folder, { command: 'echo', run: 'r1' })).toEqual({
      got: { command: 'echo', run: 'r1' },
    });
    expect(await askControl(folder, { command: 'nothing' })).toBeNull();
    expect(statSync(join(folder, 'control.sock')).mode & 0o777).toBe(0o600);
  });

  it('carries errors with their code and hint', async () => {
    await serve(folder, {
      fail: () => {
        throw new TributaryError('disk.full', 'Full.', { hint: 'Free some.' });
      },
    });
    await expect(askControl(folder, { command: 'fail' })).rejects.toMatchObject({
      code: 'disk.full',
      message: 'Full.',
      hint: 'Free some.',
    });
    await expect(askControl(folder, { command: 'toString' })).rejects.toMatchObject({
      code: 'usage.invalid',
    });
  });

  it('says when nobody runs, even if a killed process left its socket', async () => {
    await expect(askControl(folder, { command: 'status' })).rejects.toMatchObject({
      code: 'folder.not-running',
    });
    const script = `require('net').createServer().listen(${JSON.stringify(join(folder, 'control.sock'))}, () => console.log('up'))`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    await expect(askControl(folder, { command: 'status' })).rejects.toMatchObject({
      code: 'folder.not-running',
    });
    await serve(folder, { status: () => 'fine' });
    expect(await askControl(folder, { command: 'status' })).toBe('fine');
  });

  it('works in a folder whose path is longer than a socket address', async () => {
    const deep = join(folder, 'a'.repeat(60), 'b'.repeat(60));
    mkdirSync(deep, { recursive: true });
    await serve(deep, { status: () => 'fine' });
    expect(await askControl(deep, { command: 'status' })).toBe('fine');
  });

  it('survives garbage and endless lines', async () => {
    await serve(folder, { status: () => 'fine' });
    const replies: string[] = [];
    for (const garbage of ['\n', 'not json\n', '{"command":7}\n']) {
      const socket = connect(join(folder, 'control.sock'));
      socket.on('data', (data) => replies.push(data.toString()));
      socket.write(garbage);
      await once(socket, 'close');
    }
    expect(replies.every((reply) => reply.startsWith('{"ok":false'))).toBe(true);
    const endless = connect(join(folder, 'control.sock'));
    endless.on('error', () => undefined);
    endless.write('x'.repeat(5 * 1024 * 1024));
    await new Promise((resolve) => endless.on('close', resolve));
    expect(await askControl(folder, { command: 'status' })).toBe('fine');
  });
});
