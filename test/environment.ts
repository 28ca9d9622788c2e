/**
 * @file Begins every file of tests with the environment that its worker began with: files share workers, and what one
 * sets for itself, such as TRIBUTARY_HOME, would have another skip its tests.
 */

const shared = globalThis as { firstEnvironment?: NodeJS.ProcessEnv };
shared.firstEnvironment ??= { ...process.env };
process.env = { ...shared.firstEnvironment };
