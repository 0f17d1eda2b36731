// Pure: what becomes of a store, as lines for people or as an object for programs.
import { StreamError } from '../core/errors.ts';
import type { Identity } from '../journal/identity.ts';
import { acceptanceText, type Assessment } from '../recovery/judge-consent.ts';
import type { Program } from '../recovery/bound-batches.ts';
import type { MigrationReport } from '../state/migrate-state.ts';
import type { ToolCode } from './exit-codes.ts';

/** A store against a program. */
export interface PlanReport {
  readonly directory: string;
  readonly exitCode: ToolCode;
  readonly program: Program & { readonly app: string };
  /** Undefined for a directory in which no store was ever made. */
  readonly identity: Pick<Identity, 'storeId' | 'epoch'> | undefined;
  readonly assessment: Assessment;
  /** Why a start with the consents that were given is refused; undefined if it goes on. */
  readonly refusal: Error | undefined;
  /** What the migrations came to that were tried on the state; undefined where none was. */
  readonly migrations: readonly MigrationReport[] | undefined;
}

/** The verdict on the store as a whole: a consent is also needed where batches are bound to other code. */
function verdictOf({ upgrade, batches }: Assessment): Assessment['upgrade']['verdict'] {
  return batches.bound.length > 0 && upgrade.verdict !== 'incompatible' ? 'consent' : upgrade.verdict;
}

interface AgainRow {
  readonly batchTime: number;
  readonly action: 'rerun' | 'state-only';
  readonly isBound: boolean;
}

function againOf({ batches: { again, bound } }: Assessment): readonly AgainRow[] {
  return again.map(({ batch, action }) => ({ batchTime: batch.batchTime, action, isBound: bound.includes(batch) }));
}

function againLine({ batchTime, action, isBound }: AgainRow): string {
  const what = action === 'rerun' ? 'it is unfinished' : 'for its state only';
  return `again       batch ${batchTime} (${new Date(batchTime).toISOString()}): ${what}${isBound ? ', bound to other code' : ''}`;
}

/** A comparison as lines for people. */
export function planLines(report: PlanReport): readonly string[] {
  const { program, identity, assessment, refusal, directory } = report;
  const { upgrade, batches, needed } = assessment;
  const isNeeded = Object.keys(needed).length > 0;
  return [
    `program     application "${program.app}", version "${program.codeVersion}"`,
    identity === undefined ? `store       none was ever made in "${directory}"` : `store       ${identity.storeId}, epoch ${identity.epoch}`,
    `verdict     ${verdictOf(assessment)}`,
    ...upgrade.changes.map(({ verdict, sentence }) => `${verdict.padEnd(12)}${verdict.length > 11 ? ' ' : ''}${sentence}`),
    ...upgrade.migrations.map(({ uid, from, to, keys }) => `migration   "${uid}": ${keys} keys from version ${from} to ${to}`),
    ...(report.migrations ?? []).map(
      ({ uid, keys, renamed, removed }) => `tried       "${uid}": ${keys} keys were migrated, ${renamed} of them got another key, ${removed} would go`,
    ),
    ...againOf(assessment).map(againLine),
    ...(batches.because === undefined ? [] : [`bound       ${batches.because}: let that code finish, with drain, or consent to replace the batches`]),
    ...upgrade.warnings.map((warning) => `warning     ${warning}`),
    ...(isNeeded ? [`needed      ${acceptanceText(needed)}`] : []),
    refusal === undefined
      ? 'start       goes on'
      : `start       is refused: ${refusal instanceof StreamError ? `${refusal.code}${refusal.code === 'STREAM_MIGRATION' ? `: ${refusal.message}` : ''}` : refusal.message}`,
  ];
}

/** A comparison as an object for programs. */
export function planJson(report: PlanReport): string {
  const { directory, exitCode, program, identity, assessment, refusal } = report;
  const { upgrade, needed, batches } = assessment;
  return JSON.stringify({
    exitCode,
    directory,
    verdict: verdictOf(assessment),
    program: { app: program.app, codeVersion: program.codeVersion },
    store: identity === undefined ? undefined : { storeId: identity.storeId, epoch: identity.epoch },
    changes: upgrade.changes,
    migrations: upgrade.migrations,
    tried: report.migrations,
    again: againOf(assessment),
    bound: batches.because,
    warnings: upgrade.warnings,
    needed,
    refusal: refusal === undefined ? undefined : { code: refusal instanceof StreamError ? refusal.code : undefined, message: refusal.message },
  });
}
