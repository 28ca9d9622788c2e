/**
 * @file Proxy scripts (PAC files): code of the institution's network. It runs in QuickJS, an interpreter inside
 * WebAssembly, which sees the address in question and the functions of such scripts and nothing of this program.
 */

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { networkInterfaces } from 'node:os';
import { TributaryError } from '../errors.ts';
import { machine } from '../machine.ts';

/** How long a script that was read is used. */
const FRESH_MILLISECONDS = 300_000;
const MAX_SCRIPT_BYTES = 1_000_000;
const MAX_MEMORY_BYTES = 8_000_000;
/** QuickJS asks once in some ten thousand steps whether to go on; a script that takes more is given up. */
const MAX_INTERRUPTS = 2000;
const TIMEOUT_MILLISECONDS = 10_000;

type Script = (url: URL) => Promise<string>;

/** Scripts by where they lie. `ask` throws `proxy.script`. */
export function createScripts(): { readonly ask: (source: string, url: URL) => Promise<string> } {
  const known = new Map<string, { readonly read: number; readonly script: Promise<Script> }>();

  function scriptOf(source: string): Promise<Script> {
    const present = known.get(source);
    if (present !== undefined && machine.now() - present.read < FRESH_MILLISECONDS) return present.script;
    const script = load(source);
    known.set(source, { read: machine.now(), script });
    script.catch(() => known.delete(source));
    return script;
  }

  return {
    ask: async (source, url) => {
      try {
        const script = await scriptOf(source);
        return await script(url);
      } catch (cause) {
        const detail = cause instanceof Error ? cause.message : String(cause);
        throw new TributaryError('proxy.script', `The proxy script ${source} is of no use: ${detail}.`, {
          cause,
        });
      }
    },
  };
}

async function load(source: string): Promise<Script> {
  const text = await read(source);
  // Few sites have such a script; the others do without the time that these take to load.
  const { createPacResolver } = await import('pac-resolver');
  const { QuickJS } = await import('quickjs-wasi');
  const wasm = await readFile(createRequire(import.meta.url).resolve('quickjs-wasi/quickjs.wasm'));
  let interrupts = 0;
  const interpreter = await QuickJS.create({
    wasm,
    memoryLimit: MAX_MEMORY_BYTES,
    interruptHandler: () => (interrupts += 1) > MAX_INTERRUPTS,
  });
  // The library would print alerts, and would ask for this machine's address at a server of a third party.
  const sandbox = { alert: () => undefined, myIpAddress: ownAddress };
  const find = createPacResolver(interpreter, text, { sandbox });
  return async (url) => {
    interrupts = 0;
    // A script learns of the hub what browsers tell: its host, not what is asked of it.
    return withTimeout(find(`${url.protocol}//${url.host}/`, url.hostname));
  };
}

async function read(source: string): Promise<string> {
  if (!/^https?:/.test(source)) return readFile(source, 'utf8');
  const answer = await fetch(source, { signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS) });
  if (!answer.ok) throw new Error(`the answer is ${answer.status}`);
  const text = await answer.text();
  if (text.length > MAX_SCRIPT_BYTES) throw new Error('it is too long');
  return text;
}

function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1';
}

async function withTimeout(answer: Promise<string>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it takes too long')), TIMEOUT_MILLISECONDS);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}
