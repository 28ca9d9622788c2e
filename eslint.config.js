import { readdirSync } from 'node:fs';
import { builtinModules } from 'node:module';
import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import svelte from 'eslint-plugin-svelte';
import tseslint from 'typescript-eslint';

/**
 * The house's one-way rule: each room of `core` may import the rooms named here and nothing else of `core`
 * but the leaves (files that lie in `core/` itself). A room that is not named may import leaves alone.
 * ARCHITECTURE.md draws the same picture.
 */
const mayImport = {
  graph: [],
  fetching: [],
  network: [],
  model: ['graph', 'fetching'],
  engine: ['model', 'graph'],
  training: ['engine', 'model', 'graph'],
  vault: ['fetching'],
  federation: ['model'],
  evaluation: ['training', 'engine', 'model'],
  export: ['model', 'graph'],
  hub: ['federation', 'network', 'model'],
  site: ['federation', 'network', 'training', 'vault', 'engine', 'model'],
  simulation: ['hub', 'site', 'evaluation', 'federation', 'network', 'training', 'model', 'graph'],
  bridge: [
    'hub',
    'site',
    'simulation',
    'evaluation',
    'export',
    'federation',
    'training',
    'vault',
    'engine',
    'model',
    'network',
    'fetching',
  ],
};
const rooms = readdirSync(new URL('core', import.meta.url), { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? [entry.name] : [],
);

/** Forbids imports whose path matches one of the regular expressions. */
const forbid = (files, patterns) => ({ files, rules: { 'no-restricted-imports': ['error', { patterns }] } });
const noElectron = { regex: '^electron(/|$)', message: 'core works without Electron.' };

const boundaries = [
  ...rooms.map((room) => {
    const open = mayImport[room] ?? [];
    const closed = rooms.filter((other) => other !== room && !open.includes(other));
    return forbid(
      [`core/${room}/**/*.ts`],
      [
        noElectron,
        { regex: '^\\.\\./(\\.\\./)*index\\.ts$', message: 'core/index.ts is for other programs.' },
        {
          regex: `^\\..*/(${[...closed, 'main', 'renderer', 'test'].join('|')})/`,
          message: `core/${room} may import only: ${open.join(', ') || 'the leaves of core'}.`,
        },
      ],
    );
  }),
  {
    ...forbid(
      ['core/*.ts'],
      [noElectron, { regex: '^\\.(\\./|/.*/)', message: 'A leaf of core may import only other leaves.' }],
    ),
    // The library's front: it shows what lies in the rooms, and no room may look at it.
    ignores: ['core/index.ts'],
  },
  forbid(
    ['main/**/*.ts'],
    [{ regex: '^\\..*/(renderer|test)/', message: 'main imports neither renderer nor test.' }],
  ),
  // The window knows the types of its bridge and nothing else: no Node, no Electron, no core, no program.
  {
    files: ['renderer/**/*.{ts,svelte}'],
    ignores: ['renderer/vite.config.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            { regex: '^node:', message: 'The window has no Node.' },
            {
              group: [...builtinModules, 'electron', 'electron/*', 'ws', 'better-sqlite3'],
              message: 'The window has neither Node nor Electron.',
            },
            {
              regex: '/core/(?!bridge/contract\\.ts$)',
              message: 'Of core the window may import core/bridge/contract.ts, for its types.',
            },
            {
              regex: '/core/bridge/contract\\.ts$',
              allowTypeImports: true,
              message: 'Import only types of the contract: its schemas stay outside the window.',
            },
            { regex: '^\\..*/(main|test)/', message: 'The window imports neither programs nor tests.' },
          ],
        },
      ],
    },
  },
  {
    files: ['core/**/*.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: 'ImportExpression[source.value=/^\\.|^electron/]',
          message: 'Import files of the house at the top, where the boundaries are checked.',
        },
      ],
    },
  },
];

export default defineConfig(
  { ignores: ['out/', 'dist/', 'node_modules/', 'coverage/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommended],
    rules: {
      'max-params': ['error', 4],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      eqeqeq: 'error',
    },
  },
  ...svelte.configs.recommended,
  {
    // Types inside components are checked by svelte-check.
    files: ['renderer/**/*.svelte'],
    languageOptions: { parserOptions: { parser: tseslint.parser } },
    plugins: { '@typescript-eslint': tseslint.plugin },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      'no-unused-vars': 'off',
      'no-undef': 'off',
      'svelte/no-navigation-without-resolve': 'off',
      eqeqeq: 'error',
    },
  },
  {
    files: ['renderer/**/*.svelte.ts'],
    languageOptions: { parser: tseslint.parser },
  },
  {
    files: ['**/*.js'],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } },
  },
  {
    files: ['test/**/*.ts'],
    rules: { 'max-params': 'off' },
  },
  ...boundaries,
);
