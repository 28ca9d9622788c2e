/**
 * @file Scalars as TensorBoard reads them: TFRecord framing around `tensorflow.Event` messages
 * (tensorflow/core/lib/io/record_writer, tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto).
 */

import { ProtobufWriter } from '../../graph/protobuf.ts';
import { maskedCrc32c } from './crc32c.ts';

export interface Scalar {
  readonly tag: string;
  readonly step: number;
  readonly value: number;
}

/** Field numbers of the messages that a scalar needs. */
const EVENT = { wallTime: 1, step: 2, fileVersion: 3, summary: 5 };
const SUMMARY = { value: 1 };
const VALUE = { tag: 1, simpleValue: 2 };

/**
 * The bytes of an event file.
 * @param wallTime Unix seconds of every event; values are kept in float32
 */
export function eventFile(scalars: readonly Scalar[], wallTime: number): Uint8Array {
  const version = new ProtobufWriter()
    .double(EVENT.wallTime, wallTime)
    .string(EVENT.fileVersion, 'brain.Event:2');
  const events = scalars.map(({ tag, step, value }) =>
    new ProtobufWriter()
      .double(EVENT.wallTime, wallTime)
      .int(EVENT.step, step)
      .message(EVENT.summary, (summary) => {
        summary.message(SUMMARY.value, (entry) => {
          entry.string(VALUE.tag, tag).float(VALUE.simpleValue, value);
        });
      }),
  );
  return Buffer.concat([version, ...events].map((event) => record(event.finish())));
}

/** Length (u64), its masked checksum, the data, its masked checksum; all little endian. */
function record(data: Uint8Array): Uint8Array {
  const head = Buffer.alloc(12);
  head.writeBigUInt64LE(BigInt(data.length));
  head.writeUInt32LE(maskedCrc32c(head.subarray(0, 8)), 8);
  const foot = Buffer.alloc(4);
  foot.writeUInt32LE(maskedCrc32c(data));
  return Buffer.concat([head, data, foot]);
}
