/** @file Where graphs run. */

/** What Tributary computes on; the CPU is always there. */
export const DEVICES = ['cpu', 'cuda', 'webgpu', 'directml', 'coreml'] as const;
export type Device = (typeof DEVICES)[number];

/** ONNX Runtime's names of the providers. */
export const PROVIDERS: Readonly<Record<Device, string>> = {
  cpu: 'cpu',
  cuda: 'cuda',
  webgpu: 'webgpu',
  directml: 'dml',
  coreml: 'coreml',
};
