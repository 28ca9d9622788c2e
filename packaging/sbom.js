/**
 * @file `npm run sbom`: the bill of materials of what is packaged, as CycloneDX 1.6 on standard output. It comes from
 * the lock file and from what lies here, so it is the same every time and needs no network. (`npm sbom --omit dev`
 * leaves out packages that a development tool needs too.)
 */

import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** The model that comes with the program. */
const MODEL = 'smollm2-135m-instruct';
const RUNTIME = 'node_modules/onnxruntime-node';
const ELECTRON = 'node_modules/electron';
/** Written by the builds of programs and window: what of the development packages is bundled in them. */
const BUNDLED = ['out/licences.json', 'out/renderer/licences.json'];

/** @param root folder of the project, installed and built @returns a document of CycloneDX */
export async function createSbom(root) {
  const read = (path) => JSON.parse(readFileSync(join(root, path), 'utf8'));
  const { packages } = read('package-lock.json');
  const { name, version, license, description } = read('package.json');
  const bundled = new Set(BUNDLED.flatMap(read).map((one) => `${one.name}@${one.version}`));
  const isShipped = ([path, { dev, version: of }]) =>
    path !== '' && (dev !== true || path === ELECTRON || bundled.has(`${nameOf(path)}@${of}`));
  const shipped = Object.entries(packages).filter(isShipped);
  const components = new Map();
  const dependsOn = new Map();
  for (const [path, entry] of shipped) {
    const component = componentOf(path, entry);
    if (path === RUNTIME) component.components = await runtimeFiles(root, component['bom-ref']);
    if (path === ELECTRON) {
      Object.assign(component, {
        hashes: undefined,
        components: electronArchives(read, component['bom-ref']),
      });
    }
    components.set(component['bom-ref'], component);
    dependsOn.set(component['bom-ref'], dependenciesOf(packages, path));
  }
  const model = modelComponent(read('resources/models.json').models.find(({ id }) => id === MODEL));
  components.set(model['bom-ref'], model);
  const self = `${name}@${version}`;
  dependsOn.set(self, [...dependenciesOf(packages, ''), model['bom-ref']]);
  const sorted = [...components.values()].sort((one, other) => (one['bom-ref'] < other['bom-ref'] ? -1 : 1));
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      component: {
        ...{ 'bom-ref': self, type: 'application', name, version, description },
        licenses: licencesOf(license),
        purl: `pkg:generic/${name}@${version}`,
      },
    },
    components: sorted,
    dependencies: [...dependsOn]
      .map(([ref, on]) => ({
        ref,
        dependsOn: [...new Set(on)].filter((each) => components.has(each)).sort(),
      }))
      .sort((one, other) => (one.ref < other.ref ? -1 : 1)),
  };
}

const nameOf = (path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
const refOf = (path, { version }) => `${nameOf(path)}@${version}`;

function componentOf(path, entry) {
  const name = nameOf(path);
  return {
    ...{ 'bom-ref': refOf(path, entry), type: 'library', name, version: entry.version, scope: 'required' },
    hashes: [hashOf(entry.integrity)],
    licenses: licencesOf(entry.license),
    purl: `pkg:npm/${name.replace('@', '%40')}@${entry.version}`,
  };
}

/** Of npm's archive, from the lock file. */
function hashOf(integrity) {
  const [algorithm, value] = integrity.split('-', 2);
  const content = Buffer.from(value, 'base64').toString('hex');
  return { alg: algorithm.replace('sha', 'SHA-'), content };
}

function licencesOf(licence) {
  if (licence === undefined) return undefined;
  return /^[\w.+-]+$/.test(licence) ? [{ license: { id: licence } }] : [{ expression: licence }];
}

/** Names and versions of what a package of the lock file needs, found as Node resolves them. */
function dependenciesOf(packages, path) {
  // Of the project itself what is bundled or shipped counts too, which are development packages.
  const { dependencies, optionalDependencies, devDependencies } = packages[path];
  return Object.keys({ ...dependencies, ...optionalDependencies, ...devDependencies }).flatMap((name) => {
    for (let folder = path; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
      const found = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`;
      if (packages[found] !== undefined) return [refOf(found, packages[found])];
      if (folder === '') return [];
    }
  });
}

/** The libraries that the system loads, each with its hash. */
async function runtimeFiles(root, parent) {
  const folder = join(root, RUNTIME);
  const files = readdirSync(join(folder, 'bin'), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort();
  const components = [];
  for (const name of files) {
    const content = await sha256(join(folder, name));
    components.push({
      ...{ 'bom-ref': `${parent}#${name}`, type: 'file', name },
      hashes: [{ alg: 'SHA-256', content }],
      licenses: licencesOf('MIT'),
    });
  }
  return components;
}

async function sha256(path) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest('hex');
}

/** Of Electron not npm's archive is shipped but these, whose hashes its package knows. */
function electronArchives(read, parent) {
  return Object.entries(read(`${ELECTRON}/checksums.json`))
    .filter(([name]) =>
      /^electron-v[\d.]+-(linux-x64|linux-arm64|win32-x64|win32-arm64|darwin-arm64)\.zip$/.test(name),
    )
    .sort()
    .map(([name, content]) => ({
      ...{ 'bom-ref': `${parent}#${name}`, type: 'file', name },
      hashes: [{ alg: 'SHA-256', content }],
    }));
}

function modelComponent({ id, name, file, licence, sha256: content, sources }) {
  const { repository, revision } = sources.find(({ kind }) => kind === 'hugging-face');
  return {
    ...{ 'bom-ref': id, type: 'machine-learning-model', name: file, version: revision, description: name },
    ...{ scope: 'required', hashes: [{ alg: 'SHA-256', content }], licenses: licencesOf(licence) },
    purl: `pkg:huggingface/${repository}@${revision}`,
  };
}

if (process.argv[1] === import.meta.filename) {
  const root = join(import.meta.dirname, '..');
  if (BUNDLED.every((path) => existsSync(join(root, path)))) {
    process.stdout.write(`${JSON.stringify(await createSbom(root), null, 2)}\n`);
  } else {
    console.error(
      'The programs are not built, so nobody knows what is bundled in them. Run `npm run build` first.',
    );
    process.exitCode = 1;
  }
}
