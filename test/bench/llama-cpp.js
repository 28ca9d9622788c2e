/**
 * @file One measurement of llama.cpp, as a line of JSON: `node llama-cpp.js FOLDER MODEL PROMPT_TOKENS TOKENS THREADS`,
 * where FOLDER is one in which `npm install node-llama-cpp` was run. Greedy, one text, the prompt random tokens.
 */

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';

const [folder, modelPath, ...numbers] = process.argv.slice(2);
const [promptTokens, tokens, threads] = numbers.map(Number);
const packages = createRequire(join(folder, 'package.json'));
const { getLlama } = await import(pathToFileURL(packages.resolve('node-llama-cpp')).href);

const started = performance.now();
const llama = await getLlama({ gpu: false, build: 'never', maxThreads: threads, logLevel: 'error' });
const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
const contextSize = Math.max(512, promptTokens + tokens + 1);
const context = await model.createContext({ contextSize, threads, batchSize: promptTokens });
const opened = performance.now();
const prompt = Array.from({ length: promptTokens }, (_, index) => 100 + ((index * 37) % 150));
let first = 0;
let processor = process.cpuUsage();
let generated = 0;
for await (const token of context.getSequence().evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
  if (token === undefined) break;
  if (generated === 0) {
    first = performance.now();
    processor = process.cpuUsage();
  }
  if (++generated === tokens) break;
}
const seconds = (performance.now() - first) / 1000;
const { user, system } = process.cpuUsage(processor);
console.log(
  JSON.stringify({
    tokensPerSecond: (generated - 1) / seconds,
    prefillTokensPerSecond: promptTokens / ((first - opened) / 1000),
    processorSecondsPerToken: (user + system) / 1e6 / (generated - 1),
    secondsToFirstToken: (first - started) / 1000,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
  }),
);
process.exit(0);
