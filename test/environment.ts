/**
 * @file Begins every file of tests with the environment that its worker began with: files share workers, and what one
 * sets for itself, such as TRIBUTARY_HOME, would have another skip its tests.
 */

const shared = globalThis as { firstEnvironment?: NodeJS.ProcessEnv };
shared.firstEnvironment ??= { ...process.env };
// In place: others hold the object itself.
for (const name of Object.keys(process.env)) if (!(name in shared.firstEnvironment)) delete process.env[name];
Object.assign(process.env, shared.firstEnvironment);
