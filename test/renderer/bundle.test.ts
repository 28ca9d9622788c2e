/** @file The built window is small and asks for nothing that its server does not have. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';

const folder = join(import.meta.dirname, '../../out/renderer');
const files = existsSync(folder)
  ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.(js|css|html|svg)$/.test(name),
    )
  : [];

test('all of it is at most 400 kB compressed, all screens counted', () => {
  expect(files).toContain('index.html');
  const bytes = files.reduce((sum, name) => sum + gzipSync(readFileSync(join(folder, name))).length, 0);
  expect(bytes).toBeLessThanOrEqual(400_000);
});

test('no file but pictures names another server, and no schema of the bridge is in it', () => {
  for (const name of files.filter((each) => /\.(js|css|html)$/.test(each))) {
    const text = readFileSync(join(folder, name), 'utf8');
    const addresses = text.match(
      /(?:src|href)="https?:[^"]+"|url\(["']?https?:[^)]+\)|import\("https?:[^"]+"\)/g,
    );
    expect(addresses, name).toBeNull();
    expect(text, name).not.toContain('invalid_union');
  }
});
