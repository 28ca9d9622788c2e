/** @file How a row of the contract is written. */

import { z } from 'zod';

export interface AnyRequest {
  readonly input: z.ZodType;
  readonly output: z.ZodType;
}

/** One request: what is given and what comes back. Unknown fields of the input refuse it. */
export const request = <Input extends z.ZodType, Output extends z.ZodType>(input: Input, output: Output) => ({
  input,
  output,
});

/** An input of nothing. */
export const nothing = z.strictObject({});
/** An output of nothing but success. */
export const done = z.object({});
/** Long work: its progress and its end come as the event `task`, also when it ends before the answer is read. */
export const started = z.object({ task: z.string() });

export const count = z.int().min(0);
/** A path on this machine. */
export const path = z
  .string()
  .min(1)
  .max(4096)
  .refine((text) => !text.includes('\0'), 'holds a zero byte');
export const name = z.string().min(1).max(200);
/** Free text of a person. */
export const text = z.string().max(200_000);
/** Unix seconds. */
export const time = z.number();
export const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** Something wrong, for a person to read. */
export const problem = z.object({ code: z.string(), message: z.string(), hint: z.string() });
export type Problem = z.infer<typeof problem>;
