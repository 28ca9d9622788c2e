import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/**
 * The house's one-way rule: each room of `core` may import the rooms named here and nothing else of `core`
 * but the leaves (files that lie in `core/` itself). ARCHITECTURE.md draws the same picture.
 */
const mayImport = {
  graph: [],
  model: ['graph'],
  engine: ['model', 'graph'],
  training: ['engine', 'model', 'graph'],
  vault: [],
  federation: ['model'],
  evaluation: ['training', 'engine', 'model'],
  hub: ['federation', 'model'],
  site: ['federation', 'training', 'vault', 'engine', 'model'],
};
const rooms = Object.keys(mayImport);

const boundaries = rooms.map((room) => {
  const closed = rooms.filter((other) => other !== room && !mayImport[room].includes(other));
  return {
    files: [`core/${room}/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: ['electron'],
          patterns: [
            {
              regex: `^\\..*/(${[...closed, 'main', 'renderer', 'test'].join('|')})/`,
              message: `core/${room} may import only: ${mayImport[room].join(', ') || 'the leaves of core'}.`,
            },
          ],
        },
      ],
    },
  };
});

export default defineConfig(
  { ignores: ['out/', 'node_modules/', 'coverage/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      'max-params': ['error', 4],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      eqeqeq: 'error',
    },
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
