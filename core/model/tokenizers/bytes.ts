/** @file Bytes of texts: GPT-2's printable characters for bytes, and UTF-8 with the way back to UTF-16. */

/** GPT-2's character for each byte: printable Latin-1 stays itself, the others follow from U+0100. */
export const byteCharacters: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const printable = (value: number) =>
    (value >= 0x21 && value <= 0x7e) || (value >= 0xa1 && value <= 0xac) || value >= 0xae;
  if (printable(byte)) return String.fromCharCode(byte);
  let before = 0;
  for (let value = 0; value < byte; value++) if (!printable(value)) before++;
  return String.fromCharCode(256 + before);
});

const characterBytes = new Map(byteCharacters.map((character, byte) => [character, byte]));

/** The bytes that a token in GPT-2's characters stands for; a character outside the table stands for its UTF-8. */
export function bytesOfToken(token: string): Buffer {
  const bytes: number[] = [];
  for (const character of token) {
    const byte = characterBytes.get(character);
    if (byte === undefined) bytes.push(...Buffer.from(character));
    else bytes.push(byte);
  }
  return Buffer.from(bytes);
}

export interface Utf8 {
  readonly bytes: Uint8Array;
  /** For each byte, where in the text its character starts and ends, in UTF-16 units. */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** UTF-8 of a text; a surrogate without its partner becomes U+FFFD. */
export function utf8Of(text: string): Utf8 {
  const bytes = Buffer.from(text);
  const starts: number[] = [];
  const ends: number[] = [];
  let unit = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    const length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (let index = 0; index < length; index++) {
      starts.push(unit);
      ends.push(unit + character.length);
    }
    unit += character.length;
  }
  return { bytes, starts, ends };
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Decodes UTF-8 as the WHATWG standard does: what is not valid becomes U+FFFD. */
export function textOfBytes(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}
