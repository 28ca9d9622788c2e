/** @file Emission of a graph as an ONNX ModelProto (onnx.proto, IR version 10). */

import type { Shape } from './dimension.ts';
import type { DataType, Graph, Node, Value } from './graph.ts';
import {
  int,
  ONNX_DATA_TYPES,
  type EmittedNode,
  type Emitter,
  type OnnxAttribute,
  type OnnxBody,
} from './operators/rule.ts';
import { operators } from './operators/table.ts';
import { ProtobufWriter } from './protobuf.ts';
import { isShapeInput, LEFT_OVER, shapeInput } from './shapes.ts';

const IR_VERSION = 10;
/** Opset 21 is the first with four-bit integers and block-wise DequantizeLinear. */
const OPSET = 21;
const CONTRIBUTED_OPERATORS_OPSET = 1;

/** Where an input's values lie in a file beside the model, which ONNX Runtime maps into memory. */
export interface ExternalData {
  /** File name relative to the model file. */
  readonly location: string;
  /** Byte ranges by the name of the input; multiples of 4096 can be mapped. */
  readonly ranges: ReadonlyMap<string, { readonly offset: number; readonly length: number }>;
}

export interface OnnxModel {
  readonly bytes: Uint8Array;
  /** Shapes with named sizes that have to be fed, each an int64 input besides those of the graph; see `shapeValues`. */
  readonly shapes: readonly Shape[];
}

/**
 * Who runs a graph. Our own `sessions` are fed its shapes with named sizes, for putting them together inside the graph
 * takes nodes that a GPU cannot compute, and its intermediate results go by numbers, for ONNX Runtime keeps every name
 * many times: a sixth of what a session takes. `others` know nothing of those shapes, so that they are computed, and
 * read the names.
 */
export type Reader = 'sessions' | 'others';

/**
 * A graph as an ONNX model. Inputs named in `external` become initializers with external data; all others are fed
 * at every run. Nodes that no output needs are left out.
 */
export function toOnnx(
  graph: Graph,
  external?: ExternalData,
  { reader = 'sessions' }: { readonly reader?: Reader } = {},
): OnnxModel {
  const used = neededNodes(graph);
  const shapes = new Map<string, Shape>();
  const names = reader === 'sessions' ? new ShortNames(graph.inputs.map(({ name }) => name)) : FULL_NAMES;
  const model = new ProtobufWriter();
  model.int(1, IR_VERSION).string(2, 'tributary');
  model.message(7, (proto) => {
    proto.string(2, 'tributary');
    const constants = new ConstantWriter(proto, names);
    const computed = reader === 'others' ? new ShapeWriter(graph, proto, constants) : null;
    for (const node of used) emitNode(node, { proto, names, constants, shapes, computed });
    // ONNX Runtime begins with the last node that no other one reads: of gradients, those of the last layer have to
    // come last, or what they need would lie in memory until the end.
    for (const { name, value } of graph.outputs) {
      proto.message(1, (identity) =>
        identity
          .string(1, names.of(value.name))
          .string(2, name)
          .string(3, `/outputs/${name}`)
          .string(4, 'Identity'),
      );
    }
    const read = new Set([
      ...used.flatMap((node) => node.inputs),
      ...graph.outputs.map((output) => output.value),
    ]);
    for (const { value, shape, elements } of graph.constants) {
      if (read.has(value)) constants.write(value.name, { dataType: value.dataType, shape, elements });
    }
    for (const input of graph.inputs) {
      const range = external?.ranges.get(input.name);
      if (external && range) emitExternal(proto, input, { location: external.location, ...range });
      else proto.message(11, (info) => writeValueInfo(info, input.name, input));
    }
    for (const [name, { length }] of shapes) {
      proto.message(11, (info) => writeValueInfo(info, name, { dataType: 'int64', shape: [length] }));
    }
    for (const { name, value } of graph.outputs)
      proto.message(12, (info) => writeValueInfo(info, name, value));
    // Named sizes let ONNX Runtime see which intermediate results can share memory.
    for (const { output } of used)
      proto.message(13, (info) => writeValueInfo(info, names.of(output.name), output));
  });
  model.message(8, (opset) => opset.string(1, '').int(2, OPSET));
  model.message(8, (opset) => opset.string(1, 'com.microsoft').int(2, CONTRIBUTED_OPERATORS_OPSET));
  return { bytes: model.finish(), shapes: [...shapes.values()] };
}

/** The nodes that some output depends on, in the order they were built. */
export function neededNodes(graph: Graph): Node[] {
  const needed = new Set(graph.outputs.map((output) => output.value));
  const nodes = [...graph.nodes].reverse().filter((node) => {
    if (!needed.has(node.output)) return false;
    for (const input of node.inputs) needed.add(input);
    return true;
  });
  return nodes.reverse();
}

/** What a value is called in the model. */
interface Names {
  of(name: string): string;
}

const FULL_NAMES: Names = { of: (name) => name };

/** Numbers for all but the inputs of the graph and its shapes. */
class ShortNames implements Names {
  readonly #known: Map<string, string>;

  constructor(fed: readonly string[]) {
    // ONNX gives an input that is left out the empty name.
    this.#known = new Map(['', ...fed].map((name) => [name, name]));
  }

  of(name: string): string {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    if (isShapeInput(name)) return name;
    const short = String(this.#known.size);
    this.#known.set(name, short);
    return short;
  }
}

interface Destination {
  readonly proto: ProtobufWriter;
  readonly names: Names;
  readonly constants: ConstantWriter;
  /** Shapes that have to be fed, by the name of their input. */
  readonly shapes: Map<string, Shape>;
  /** Where they are computed instead. */
  readonly computed: ShapeWriter | null;
}

function emitNode(node: Node, to: Destination): void {
  let emittedNodes = 0;
  const emitter: Emitter = {
    constant: (dataType, shape, elements) => {
      const { name } = node.output.graph.constant(dataType, shape, elements);
      to.constants.write(name, { dataType, shape, elements });
      return name;
    },
    shape: (shape) => {
      if (to.computed) return to.computed.write(shape);
      const name = shapeInput(shape);
      to.shapes.set(name, shape);
      return name;
    },
    intermediate: (label) => `${node.name}/${label}`,
    node: (emitted) => {
      const name = emittedNodes++ === 0 ? node.name : `${node.name}/${emitted.type}_${emittedNodes}`;
      to.proto.message(1, (writer) => writeNode(writer, { name, names: to.names, ...emitted }));
    },
  };
  // Each operator's rule emits nodes of that operator only.
  (operators[node.operator].emit as (node: Node, emitter: Emitter) => void)(node, emitter);
}

function writeNode(
  writer: ProtobufWriter,
  {
    name,
    names,
    type,
    inputs,
    output,
    others = [],
    attributes = {},
    domain = '',
  }: EmittedNode & { readonly name: string; readonly names: Names },
): void {
  for (const input of inputs) writer.string(1, names.of(input));
  for (const result of [output, ...others]) writer.string(2, names.of(result));
  writer.string(3, name).string(4, type);
  for (const [key, attribute] of Object.entries(attributes)) {
    writer.message(5, (inner) => writeAttribute(inner.string(1, key), attribute, names));
  }
  if (domain !== '') writer.string(7, domain);
}

/** Writes constants as initializers of a graph message, each name once. */
class ConstantWriter {
  readonly #proto: ProtobufWriter;
  readonly #names: Names;
  readonly #written = new Set<string>();

  constructor(proto: ProtobufWriter, names: Names) {
    this.#proto = proto;
    this.#names = names;
  }

  write(
    name: string,
    tensor: { dataType: DataType; shape: readonly number[]; elements: readonly number[] },
  ): void {
    if (this.#written.has(name)) return;
    this.#written.add(name);
    this.#proto.message(5, (writer) => {
      for (const size of tensor.shape) writer.int(1, size);
      writer.int(2, ONNX_DATA_TYPES[tensor.dataType]).string(8, this.#names.of(name));
      writer.bytes(9, rawData(tensor.dataType, tensor.elements));
    });
  }
}

/** Writes nodes that put shapes together from the sizes of the inputs, each once. */
class ShapeWriter {
  readonly #graph: Graph;
  readonly #proto: ProtobufWriter;
  readonly #constants: ConstantWriter;
  readonly #written = new Set<string>();

  constructor(graph: Graph, proto: ProtobufWriter, constants: ConstantWriter) {
    this.#graph = graph;
    this.#proto = proto;
    this.#constants = constants;
  }

  /** Concat(Gather(Shape(input), axis) or a number, …): the name of the result. */
  write(shape: Shape): string {
    const name = shapeInput(shape);
    if (!this.#written.has(name)) {
      const parts = shape.map((size) =>
        typeof size === 'number' ? this.#numbers([size]) : this.#size(size),
      );
      if (shape.filter((_, at) => parts[at] === null).length > 1)
        throw new Error(`the shape [${shape.join()}] is not known`);
      const inputs = parts.map((part) => part ?? this.#numbers([LEFT_OVER]));
      this.#node({ type: 'Concat', inputs, output: name, attributes: { axis: int(0) } });
    }
    return name;
  }

  /** A named size as a vector of one; null where no input has an axis of it. */
  #size(size: string): string | null {
    for (const input of this.#graph.inputs) {
      const axis = input.shape.indexOf(size);
      if (axis < 0) continue;
      const whole = `/shapes/of/${input.name}`;
      const output = `/shapes/size/${size}`;
      this.#node({ type: 'Shape', inputs: [input.name], output: whole });
      this.#node({ type: 'Gather', inputs: [whole, this.#numbers([axis])], output });
      return output;
    }
    return null;
  }

  #numbers(elements: readonly number[]): string {
    const { name } = this.#graph.constant('int64', [elements.length], elements);
    this.#constants.write(name, { dataType: 'int64', shape: [elements.length], elements });
    return name;
  }

  #node(node: EmittedNode): void {
    if (this.#written.has(node.output)) return;
    this.#written.add(node.output);
    this.#proto.message(1, (writer) => writeNode(writer, { name: node.output, names: FULL_NAMES, ...node }));
  }
}

function emitExternal(
  proto: ProtobufWriter,
  input: Value,
  data: { location: string; offset: number; length: number },
): void {
  proto.message(5, (writer) => {
    for (const size of input.shape) {
      if (typeof size !== 'number') throw new Error(`${input.name} has no fixed shape`);
      writer.int(1, size);
    }
    writer.int(2, ONNX_DATA_TYPES[input.dataType]).string(8, input.name);
    for (const [key, value] of Object.entries(data)) {
      writer.message(13, (entry) => entry.string(1, key).string(2, String(value)));
    }
    writer.int(14, 1);
  });
}

function rawData(dataType: DataType, elements: readonly number[]): Uint8Array {
  const typed = () => {
    switch (dataType) {
      case 'float32':
        return new Float32Array(elements);
      case 'float64':
        return new Float64Array(elements);
      case 'int32':
        return new Int32Array(elements);
      case 'int64':
        return new BigInt64Array(elements.map(BigInt));
      case 'int8':
        return new Int8Array(elements);
      case 'uint8':
      case 'bool':
        return new Uint8Array(elements);
      case 'uint4':
      case 'float16':
        throw new Error(`constants of ${dataType} are fed, not embedded`);
    }
  };
  const { buffer } = typed();
  return new Uint8Array(buffer);
}

function writeAttribute(writer: ProtobufWriter, attribute: OnnxAttribute, names: Names): void {
  // AttributeProto.AttributeType: FLOAT 1, INT 2, STRING 3, GRAPH 5, INTS 7
  switch (attribute.kind) {
    case 'float':
      writer.float(2, attribute.value).int(20, 1);
      break;
    case 'int':
      writer.int(3, attribute.value).int(20, 2);
      break;
    case 'string':
      writer.string(4, attribute.value).int(20, 3);
      break;
    case 'graph':
      writer.message(6, (body) => writeBody(body, attribute.value, names)).int(20, 5);
      break;
    case 'ints':
      for (const value of attribute.value) writer.int(8, value);
      writer.int(20, 7);
      break;
  }
}

function writeBody(writer: ProtobufWriter, { inputs, nodes, outputs }: OnnxBody, names: Names): void {
  for (const node of nodes)
    writer.message(1, (inner) => writeNode(inner, { name: `${node.output}/${node.type}`, names, ...node }));
  writer.string(2, 'body');
  for (const input of inputs) writer.message(11, (info) => writeValueInfo(info, names.of(input.name), input));
  for (const output of outputs)
    writer.message(12, (info) => writeValueInfo(info, names.of(output.name), output));
}

function writeValueInfo(
  writer: ProtobufWriter,
  name: string,
  value: { dataType: DataType; shape: Shape },
): void {
  writer.string(1, name).message(2, (type) =>
    type.message(1, (tensor) =>
      tensor.int(1, ONNX_DATA_TYPES[value.dataType]).message(2, (shape) => {
        for (const size of value.shape) {
          shape.message(1, (dimension) =>
            typeof size === 'number' ? dimension.int(1, size) : dimension.string(2, size),
          );
        }
      }),
    ),
  );
}
