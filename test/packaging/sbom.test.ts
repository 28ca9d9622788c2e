/** @file The bill of materials: valid, whole, the same every time, and without addresses. */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Ajv } from 'ajv';
import { beforeAll, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const schemas = join(
  dirname(createRequire(import.meta.url).resolve('@cyclonedx/cyclonedx-library/package.json')),
  'res/schema',
);
const read = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

interface Component {
  readonly 'bom-ref': string;
  readonly type: string;
  readonly name: string;
  readonly version?: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses?: readonly unknown[];
  readonly components?: readonly Component[];
}
interface Bom {
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

let text: string;
let bom: Bom;
const write = async (): Promise<string> =>
  (await promisify(execFile)(process.execPath, ['packaging/sbom.js'], { cwd: root, maxBuffer: 2 ** 24 }))
    .stdout;
beforeAll(async () => {
  text = await write();
  bom = JSON.parse(text) as Bom;
});
const find = (name: string): Component => {
  const found = bom.components.find((component) => component.name === name);
  if (found === undefined) throw new Error(`${name} is missing`);
  return found;
};

it('fits the schema of CycloneDX 1.6', () => {
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  for (const name of ['spdx', 'jsf-0.82', 'cryptography-defs']) {
    // They refer to each other by the names of the files.
    const file = `${name}.SNAPSHOT.schema.json`;
    ajv.addSchema({ ...(read(join(schemas, file)) as object), $id: `http://cyclonedx.org/schema/${file}` });
  }
  const validate = ajv.compile(read(join(schemas, 'bom-1.6.SNAPSHOT.schema.json')) as object);
  expect(validate(bom) ? [] : validate.errors).toEqual([]);
  expect(validate({ ...bom, components: [{ name: 'a component without a type' }] })).toBe(false);
});

it('has every production package of the lock file, with its hash and what it needs', () => {
  const lock = read(join(root, 'package-lock.json')) as {
    packages: Record<string, { version: string; dev?: boolean; dependencies?: object }>;
  };
  const production = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && dev !== true);
  const wanted = production.map(
    ([path, { version }]) => `${path.replace(/^.*node_modules\//, '')}@${version}`,
  );
  const known = new Map(bom.components.map((component) => [component['bom-ref'], component]));
  expect(wanted.length).toBeGreaterThan(80);
  expect(wanted.filter((ref) => known.get(ref)?.hashes?.[0].content.length !== 128)).toEqual([]);
  const refs = new Set(bom.dependencies.map(({ ref }) => ref));
  expect(wanted.filter((ref) => !refs.has(ref))).toEqual([]);
  const needed = bom.dependencies.flatMap(({ dependsOn }) => dependsOn);
  expect(needed.filter((ref) => !known.has(ref))).toEqual([]);
  expect(bom.dependencies.find(({ ref }) => ref.startsWith('better-sqlite3@'))?.dependsOn).toHaveLength(2);
});

it('has what is bundled in the window, ONNX Runtime’s libraries and the model', () => {
  expect([find('svelte'), find('uplot')].map(({ type }) => type)).toEqual(['library', 'library']);
  const libraries = find('onnxruntime-node').components ?? [];
  expect(libraries.length).toBeGreaterThan(10);
  const [library] = libraries.filter(({ name }) => name.endsWith('linux/x64/libonnxruntime.so.1'));
  const content = readFileSync(join(root, 'node_modules/onnxruntime-node', library.name));
  expect(library.hashes).toEqual([
    { alg: 'SHA-256', content: createHash('sha256').update(content).digest('hex') },
  ]);
  expect(find('SmolLM2-135M-Instruct.Q4_1.gguf')).toMatchObject({
    type: 'machine-learning-model',
    hashes: [{ alg: 'SHA-256', content: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53' }],
    licenses: [{ license: { id: 'Apache-2.0' } }],
  });
});

it('is the same every time, and names no address and no development tool', async () => {
  expect(await write()).toBe(text);
  expect(text.match(/https?:\/\/[^"]+/g)).toEqual(['http://cyclonedx.org/schema/bom-1.6.schema.json']);
  for (const tool of ['vitest', 'eslint', 'electron-builder']) {
    expect(bom.components.some(({ name }) => name === tool)).toBe(false);
  }
});
