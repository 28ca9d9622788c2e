/** @file What ONNX Runtime's errors mean where trying again in another way may help. */

import { TributaryError } from '../errors.ts';

/** `out-of-memory`: a smaller batch may fit. `device-lost`: the device was reset or taken out; sessions must be opened anew. */
export type Trouble = 'out-of-memory' | 'device-lost';

/** Messages of Dawn (WebGPU), of Direct3D's status codes DXGI_ERROR_DEVICE_…, and of CUDA. */
const LOST = /device (is |was )?(lost|removed|hung)|DeviceLost|887A000[567]|CUDA failure (46|100|719|999)\b/i;

/** Messages of ONNX Runtime's arenas, C++, Node.js, CUDA, cuBLAS, Direct3D (E_OUTOFMEMORY) and Dawn. */
const MEMORY =
  /failed to allocate|bad[_ ]alloc|out of memory|out of device memory|array buffer allocation failed|ALLOC_FAILED|CUDA failure 2\b|8007000E|max(imum)? ?(storage)? ?buffer ?(binding)? ?size/i;

/** What an error of a computation means, or null when it means something else. */
export function troubleOf(error: unknown): Trouble | null {
  if (error instanceof TributaryError) return error.code === 'engine.out-of-memory' ? 'out-of-memory' : null;
  const message = error instanceof Error ? error.message : String(error);
  if (LOST.test(message)) return 'device-lost';
  return MEMORY.test(message) ? 'out-of-memory' : null;
}
