import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openTiny } from '../../core/model/tiny.ts';
import { TextStream } from '../../core/training/text-stream.ts';

const { tokenizer } = openTiny();
const tokensOf = (text: string) => tokenizer.encode(text, { special: false }).ids;

/** The pieces in which a text comes, the last one at the end. */
function pieces(
  ids: readonly number[],
  stops: readonly string[] = [],
): { pieces: string[]; stopped: boolean } {
  const stream = new TextStream(tokenizer, stops);
  const found: string[] = [];
  for (const id of ids) {
    if (stream.stopped) break;
    found.push(stream.push(id));
  }
  return { pieces: [...found, stream.end()], stopped: stream.stopped };
}

describe('the text of a stream', () => {
  it('waits for all bytes of a character', () => {
    // The tiny model has a token a byte: é has two, € three and 😀 four.
    expect(pieces(tokensOf('aé€😀b')).pieces).toEqual(['a', '', 'é', '', '', '€', '', '', '', '😀', 'b', '']);
  });

  it('says at the end that a character was not whole', () => {
    expect(pieces(tokensOf('a€').slice(0, 3)).pieces.join('')).toBe('a\ufffd');
  });

  it('leaves special tokens out', () => {
    expect(pieces([...tokensOf('a'), tokenizer.endOfSequence.id, ...tokensOf('b')]).pieces.join('')).toBe(
      'ab',
    );
  });

  it('joins to the text of all tokens, whatever they are, and never splits a character', () => {
    const id = fc.integer({ min: 0, max: tokenizer.vocabularySize - 1 });
    const bytes = fc.array(id);
    const text = fc.string({ unit: 'grapheme' }).map((value) => [...tokensOf(value)]);
    fc.assert(
      fc.property(fc.oneof(bytes, text), (ids) => {
        const { pieces: parts } = pieces(ids);
        expect(parts.join('')).toBe(tokenizer.decode(ids, { skipSpecial: true }));
        for (const part of parts) expect(part).not.toMatch(/\p{Surrogate}/u);
      }),
    );
  });
});

describe('a stop string', () => {
  it.each([
    ['is not given out, nor what follows', 'one END two', ['END'], 'one ', true],
    ['is found across tokens where a first try failed', 'aab', ['ab'], 'a', true],
    ['of several is the one that comes first', 'x 2 1', ['1', '2'], 'x ', true],
    ['may contain another', 'a END', ['END', 'D'], 'a ', true],
    ['that is begun only is given out at the end', 'one EN', ['END'], 'one EN', false],
    ['that is empty stops nothing', 'one', [''], 'one', false],
  ])('%s', (_, text, stops, expected, stopped) => {
    const found = pieces(tokensOf(text), stops);
    expect(found.pieces.join('')).toBe(expected);
    expect(found.stopped).toBe(stopped);
  });

  it('holds back no more than may be its beginning', () => {
    expect(pieces(tokensOf('xENyEND!'), ['END']).pieces).toEqual(['x', '', '', 'ENy', '', '', '', '']);
  });

  it('is never part of the text, which is otherwise that up to it', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'é') });
    fc.assert(
      fc.property(
        letters,
        fc.array(
          letters.filter((stop) => stop !== ''),
          { maxLength: 3 },
        ),
        (text, stops) => {
          const ends = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
          const expected = ends.length > 0 ? text.slice(0, Math.min(...ends)) : text;
          const joined = pieces(tokensOf(text), stops).pieces.join('');
          // A stop string that ends sooner is met first, also where another one begins before it and is longer.
          expect(text.startsWith(joined)).toBe(true);
          for (const stop of stops) expect(joined).not.toContain(stop);
          if (ends.length === 0 || stops.length === 1) expect(joined).toBe(expected);
        },
      ),
    );
  });
});
