/**
 * @file A writer for Protocol Buffers' wire format, as much as ONNX and TensorBoard need
 * (protobuf.dev/programming-guides/encoding).
 */

const VARINT = 0;
const FIXED_64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;
/** The largest number that bit operations take for itself. */
const LARGEST_SMALL = 2 ** 31 - 1;

/** Collects the fields of one message. Fields of value zero are written too, since ONNX tells 0 from absent. */
export class ProtobufWriter {
  #buffer = Buffer.allocUnsafe(256);
  #length = 0;

  /** int64, int32, enum or bool. Negative numbers take ten bytes, as the format demands. */
  int(field: number, value: number | bigint): this {
    this.#key(field, VARINT);
    if (typeof value === 'number' && value >= 0 && value <= LARGEST_SMALL) this.#small(value);
    else this.#varint(BigInt.asUintN(64, BigInt(value)));
    return this;
  }

  float(field: number, value: number): this {
    this.#key(field, FIXED_32);
    this.#reserve(4);
    this.#length = this.#buffer.writeFloatLE(value, this.#length);
    return this;
  }

  double(field: number, value: number): this {
    this.#key(field, FIXED_64);
    this.#reserve(8);
    this.#length = this.#buffer.writeDoubleLE(value, this.#length);
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#key(field, LENGTH_DELIMITED);
    this.#small(value.length);
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  string(field: number, value: string): this {
    const length = Buffer.byteLength(value);
    this.#key(field, LENGTH_DELIMITED);
    this.#small(length);
    this.#reserve(length);
    this.#length += this.#buffer.write(value, this.#length);
    return this;
  }

  /** A message inside this one: what `write` adds to the writer that it is given, which is this one. */
  message(field: number, write: (writer: ProtobufWriter) => void): this {
    this.#key(field, LENGTH_DELIMITED);
    const place = this.#length;
    this.#small(0);
    const start = this.#length;
    write(this);
    const length = this.#length - start;
    // Most lengths fit into the one byte that was left for them; for others the content moves on.
    let more = 0;
    for (let rest = length; rest > 0x7f; rest >>>= 7) more++;
    this.#reserve(more);
    if (more > 0) this.#buffer.copyWithin(start + more, start, this.#length);
    this.#length = place;
    this.#small(length);
    this.#length += length;
    return this;
  }

  /** The bytes written so far. */
  finish(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  #key(field: number, type: number): void {
    this.#small((field << 3) | type);
  }

  /** A number that bit operations know, as nearly all are: without a BigInt it takes a third of the time. */
  #small(value: number): void {
    this.#reserve(5);
    let rest = value;
    while (rest > 0x7f) {
      this.#buffer[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#buffer[this.#length++] = rest;
  }

  #varint(value: bigint): void {
    this.#reserve(10);
    let rest = value;
    while (rest > 0x7fn) {
      this.#buffer[this.#length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#buffer[this.#length++] = Number(rest);
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + bytes));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
