/** @file Turns zod's complaints into sentences: the field, what was found there, what is allowed. */

import { z } from 'zod';

/** A complaint about one field. */
export interface FieldIssue {
  /** Its path, such as `training.steps`; empty where it is the whole. */
  readonly field: string;
  readonly sentence: string;
}

/** One sentence per complaint, e.g. `training.steps: found "ten", expected number (optimiser steps …).` */
export function describeIssues(error: z.ZodError, input: unknown, schema: z.ZodType): FieldIssue[] {
  const root = z.toJSONSchema(schema, { io: 'input' });
  return error.issues.map((issue) => ({
    field: fieldOf(issue),
    sentence: describeIssue(issue, input, root),
  }));
}

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** An unknown field is named itself, not what it lies in. */
function fieldOf(issue: z.core.$ZodIssue): string {
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
  return [...issue.path.map(String), ...unknown].join('.');
}

function describeIssue(issue: z.core.$ZodIssue, input: unknown, root: JsonSchema): string {
  const path = issue.path.map(String);
  const field = path.join('.');
  const schema = schemaAt(root, path, input);
  if (issue.code === 'unrecognized_keys') {
    const allowed = Object.keys(schema?.properties ?? {}).join(', ');
    const unknown = issue.keys.map((key) => [...path, key].join('.')).join(', ');
    return `${unknown}: no such field; ${field === '' ? 'allowed are' : `${field} has`} ${allowed}.`;
  }
  const found = valueAt(input, path);
  const meaning = schema?.description === undefined ? '' : ` (${schema.description})`;
  return `${field === '' ? 'The whole' : field}: found ${show(found)}, ${expectation(issue)}${meaning}.`;
}

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_union':
      return expectedOfUnion(issue);
    case 'invalid_value':
      return `expected ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`;
    case 'invalid_type':
      return `expected ${issue.expected}`;
    case 'too_small':
      return `expected ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${unitOf(issue.origin)}`;
    case 'too_big':
      return `expected ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${unitOf(issue.origin)}`;
    default:
      return issue.message;
  }
}

function expectedOfUnion(issue: z.core.$ZodIssueInvalidUnion): string {
  if ('options' in issue && Array.isArray(issue.options)) {
    return `expected ${issue.options.map((option) => JSON.stringify(option)).join(' or ')}`;
  }
  const choices = issue.errors.map((errors) => expectation(errors[0]).replace(/^expected /, ''));
  return `expected ${choices.join(' or ')}`;
}

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters';
  return origin === 'array' ? ' entries' : '';
}

function valueAt(input: unknown, path: readonly string[]): unknown {
  let value = input;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

function schemaAt(root: JsonSchema, path: readonly string[], input: unknown): JsonSchema | undefined {
  let schema: JsonSchema | undefined = root;
  path.forEach((key, depth) => {
    const next = variantOf(schema, valueAt(input, path.slice(0, depth)))?.properties?.[key];
    schema = typeof next === 'object' ? next : undefined;
  });
  return variantOf(schema, valueAt(input, path));
}

/** Of a choice of objects told apart by `name`, the one that the input means. */
function variantOf(schema: JsonSchema | undefined, value: unknown): JsonSchema | undefined {
  if (schema?.oneOf === undefined || typeof value !== 'object' || value === null) return schema;
  const name: unknown = Reflect.get(value, 'name');
  return schema.oneOf.find((choice) => {
    const constant = choice.properties?.name;
    return typeof constant === 'object' && constant.const === name;
  });
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
