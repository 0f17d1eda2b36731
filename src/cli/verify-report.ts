// Pure: what the sinks hold, as lines for people or as an object for programs.
import type { RowCheck } from '../recovery/verify-sink.ts';
import type { SinkAudit } from '../sinks/sink.ts';
import type { ToolCode } from './exit-codes.ts';

/** A sink against the store. */
export interface SinkReport {
  readonly sink: string;
  /** How many commits the log and the ledger name. */
  readonly known: number;
  /** Undefined for a sink without a ledger. */
  readonly rows: RowCheck | undefined;
  /** Undefined for a sink whose data do not tell which batch they are of. */
  readonly data: SinkAudit | undefined;
}

/** All sinks of a program against the store. */
export interface VerifyReport {
  readonly directory: string;
  readonly exitCode: ToolCode;
  readonly sinks: readonly SinkReport[];
  /** Sinks that committed and are not in the program: nobody could be asked. */
  readonly unknown: readonly string[];
}

const WIDTH = 12;

function line(name: string, text: string): string {
  return `${name.padEnd(WIDTH)}${text}`;
}

function sinkLines({ sink, known, rows, data }: SinkReport): readonly string[] {
  if (rows === undefined) return [line('sink', `"${sink}": it has no ledger to compare`)];
  const findings = [...rows.findings, ...(data?.findings ?? [])];
  return [
    line(
      'sink',
      `"${sink}": ${known} commits known, ${rows.complete} partitions hold their last one, ${rows.ofUnfinished} hold one of the batch that is not complete`,
    ),
    line(
      'data',
      data === undefined
        ? 'not compared: rows of this sink do not tell which batch they are of'
        : `${data.checked} commits compared with their data, ${data.taken} taken away by readers`,
    ),
    ...findings.map(({ kind, what }) => line(kind, what)),
  ];
}

/** A report as lines for people. */
export function verifyLines({ sinks, unknown, exitCode }: VerifyReport): readonly string[] {
  return [
    ...sinks.flatMap(sinkLines),
    ...unknown.map((uid) => line('unknown', `"${uid}" committed, and is not in the program: it was not asked`)),
    line('verdict', exitCode === 0 ? 'the sinks hold what the store says' : 'the sinks do not hold what the store says'),
  ];
}

/** A report as an object for programs. */
export function verifyJson(report: VerifyReport): string {
  return JSON.stringify(report);
}
