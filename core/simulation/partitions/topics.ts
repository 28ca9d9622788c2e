/**
 * @file Topics of texts without labels: spherical k-means (Dhillon and Modha, 2001) over hashed word vectors, whose
 * words count the more the fewer texts have them. Enough to give sites different subjects, and seeded.
 */

import { Random } from '../../random.ts';

/** Words share so many places of a vector. */
const PLACES = 512;
const ITERATIONS = 30;

/** The topic, from 0, of each text. There are at most `topics`. */
export function topicsOf(texts: readonly string[], topics: number, seed: number): number[] {
  const vectors = vectorsOf(texts);
  const random = new Random('partition', 'topics', seed);
  let centres = firstCentres(vectors, Math.min(topics, vectors.length), random);
  let assigned: number[] = [];
  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    const next = vectors.map((vector) => nearest(vector, centres));
    if (next.every((topic, index) => topic === assigned[index])) break;
    assigned = next;
    centres = centres.map((centre, topic) => {
      const members = vectors.filter((_, index) => assigned[index] === topic);
      return members.length > 0 ? normalised(sumOf(members)) : centre;
    });
  }
  return assigned;
}

function vectorsOf(texts: readonly string[]): Float64Array[] {
  const words = texts.map((text) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []);
  const textsWith = new Float64Array(PLACES);
  for (const own of words) for (const place of new Set(own.map(placeOf))) textsWith[place] += 1;
  return words.map((own) => {
    const vector = new Float64Array(PLACES);
    for (const word of own) {
      const place = placeOf(word);
      vector[place] += Math.log((1 + texts.length) / (1 + textsWith[place]));
    }
    return normalised(vector);
  });
}

/** FNV-1a. */
function placeOf(word: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < word.length; index++) {
    hash = Math.imul(hash ^ word.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0) % PLACES;
}

/** k-means++ (Arthur and Vassilvitskii, 2007): the farther from those before, the likelier. */
function firstCentres(vectors: readonly Float64Array[], count: number, random: Random): Float64Array[] {
  const centres = [vectors[random.below(vectors.length)]];
  while (centres.length < count) {
    const distances = vectors.map((vector) => 1 - Math.max(...centres.map((centre) => dot(vector, centre))));
    const total = distances.reduce((sum, value) => sum + Math.max(0, value), 0);
    let left = random.uniform() * total;
    const chosen = distances.findIndex((value) => (left -= Math.max(0, value)) < 0);
    centres.push(vectors[Math.max(0, chosen)]);
  }
  return centres;
}

function nearest(vector: Float64Array, centres: readonly Float64Array[]): number {
  let best = 0;
  let closeness = -Infinity;
  for (const [topic, centre] of centres.entries()) {
    const own = dot(vector, centre);
    if (own > closeness) [best, closeness] = [topic, own];
  }
  return best;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let index = 0; index < a.length; index++) sum += a[index] * b[index];
  return sum;
}

function sumOf(vectors: readonly Float64Array[]): Float64Array {
  const sum = new Float64Array(PLACES);
  for (const vector of vectors) for (let index = 0; index < PLACES; index++) sum[index] += vector[index];
  return sum;
}

function normalised(vector: Float64Array): Float64Array {
  const length = Math.sqrt(dot(vector, vector));
  return length > 0 ? vector.map((value) => value / length) : vector;
}
