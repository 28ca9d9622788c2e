/**
 * @file Draws the program's icons from the window's icon.svg, in Chromium: `icon.ico` for Windows, `icon.icns` for macOS
 * and `icons/` for Linux, under the names that electron-builder looks for; it would fetch a tool to make them. Run by
 * hand when the drawing changes.
 */

import { Buffer } from 'node:buffer';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const root = join(import.meta.dirname, '..');
const folder = join(root, 'packaging/resources');

/** Each icon holds pictures as PNG; macOS names theirs by size. */
const WINDOWS = [16, 24, 32, 48, 64, 128, 256];
const MAC = { icp4: 16, icp5: 32, ic07: 128, ic08: 256, ic09: 512, ic10: 1024 };
const LINUX = [16, 32, 48, 64, 128, 256, 512];

/** PNGs by their side in pixels. */
async function draw(sides) {
  const svg = await readFile(join(root, 'renderer/public/icon.svg'), 'utf8');
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args,
  });
  try {
    const page = await browser.newPage();
    const pictures = new Map();
    for (const side of sides) {
      await page.setViewportSize({ width: side, height: side });
      await page.setContent(`<style>* { margin: 0 } svg { display: block; width: 100vw }</style>${svg}`);
      pictures.set(side, await page.screenshot({ omitBackground: true }));
    }
    return pictures;
  } finally {
    await browser.close();
  }
}

/** A list of entries, each with its size and place, then the pictures. */
function ico(pictures) {
  const header = Buffer.alloc(6 + 16 * pictures.length);
  header.writeUInt16LE(1, 2);
  header.writeUInt16LE(pictures.length, 4);
  let offset = header.length;
  for (const [at, [side, png]] of pictures.entries()) {
    const entry = 6 + 16 * at;
    header.writeUInt8(side % 256, entry); // 0 stands for 256
    header.writeUInt8(side % 256, entry + 1);
    header.writeUInt16LE(1, entry + 4);
    header.writeUInt16LE(32, entry + 6);
    header.writeUInt32LE(png.length, entry + 8);
    header.writeUInt32LE(offset, entry + 12);
    offset += png.length;
  }
  return Buffer.concat([header, ...pictures.map(([, png]) => png)]);
}

/** Chunks of a name, a length that counts both, and a picture, in one such chunk. */
function icns(pictures) {
  const chunk = (name, content) => {
    const header = Buffer.from(`${name}\0\0\0\0`, 'latin1');
    header.writeUInt32BE(content.length + 8, 4);
    return Buffer.concat([header, content]);
  };
  return chunk('icns', Buffer.concat(pictures.map(([name, png]) => chunk(name, png))));
}

const pictures = await draw(new Set([...WINDOWS, ...Object.values(MAC), ...LINUX]));
await mkdir(join(folder, 'icons'), { recursive: true });
await writeFile(join(folder, 'icon.ico'), ico(WINDOWS.map((side) => [side, pictures.get(side)])));
await writeFile(
  join(folder, 'icon.icns'),
  icns(Object.entries(MAC).map(([name, side]) => [name, pictures.get(side)])),
);
for (const side of LINUX) await writeFile(join(folder, 'icons', `${side}x${side}.png`), pictures.get(side));
