import type { Monitor } from '../runs/monitor.js'
import type { EntryId } from './stage.js'

/** An output that is stored. */
export interface StoredEntry {
  /** The folder of its files, on this machine. */
  readonly folder: string
  /** How long the work took, whoever did it. Interrupted work counts if it was resumed from. */
  readonly seconds: number
  /** The machine that did it, in words. */
  readonly machine: string
}

export interface StoreOptions {
  readonly monitor: Monitor
  readonly signal?: AbortSignal | undefined
}

/**
 * Where the outputs of stages lie. `FolderStore` is a folder, also on a disk that several machines share. A store
 * elsewhere (object storage, say) keeps what it hands out in a folder of this machine.
 */
export interface Store {
  /** Where it lies, for messages. */
  readonly where: string
  /**
   * The entry, if it is there and complete; a damaged one is reported to the monitor and counts as absent.
   */
  get(id: EntryId, options: StoreOptions): Promise<StoredEntry | undefined>
  /**
   * The sole right to make an entry. If another process has it, this waits until that one ends, tells the monitor
   * whom it waits for, and returns undefined: the entry may be there now.
   *
   * @throws InputError if the disk is full; the signal's reason if it is aborted
   */
  lease(id: EntryId, options: StoreOptions): Promise<Lease | undefined>
}

/** The sole right to make an entry. */
export interface Lease {
  /** Aborted if the right was lost: this process stood still for so long that another took the work over. */
  readonly lost: AbortSignal
  /** Whether the right is still held, as far as can be told; if not, `lost` is aborted. Never throws. */
  check(): Promise<boolean>
  /** Begins the work: a damaged entry is removed, `folder` is empty, `scratch` as the last attempt left it. */
  begin(): Promise<{ readonly folder: string; readonly scratch: string }>
  /** Stores what lies in `folder`, whole or not at all, and removes `scratch`. */
  put(): Promise<StoredEntry>
  /** Gives up the right, whatever happened; what was not put is removed, except `scratch`. Never throws. */
  release(): Promise<void>
}
