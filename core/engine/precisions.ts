/** @file The precisions by name, for those who choose one without an engine. */

/**
 * How the frozen weights lie in memory and are multiplied by:
 * - `f32`: float32;
 * - `int4`: the file's four-bit and eight-bit blocks as they are, unpacked for each product;
 * - `int8`: the linears in eight bits, once for each direction, multiplied as whole numbers; the rest float32.
 */
export const PRECISIONS = ['f32', 'int4', 'int8'] as const;
export type Precision = (typeof PRECISIONS)[number];
