import type {
  BackdoorConfusion,
  BackdoorEvaluation,
  BackdoorRates,
  Rate,
  Stealth,
  TrainingCurve,
} from '@ageb/lab'

/**
 * What a report shows, as plain data. Nothing in it is trusted: every string is escaped, whatever the names of a data
 * set's classes are.
 */
export interface ReportInput {
  /** `Backdoor run: ViT-Tiny on CIFAR-10`. */
  readonly title: string
  /** One line beneath the title: model, data set, seed. */
  readonly subtitle: string
  readonly attack: AttackSource
  /** What was done to the model and the images, and what they are for. */
  readonly warning: string
  /** The victim's rates. */
  readonly rates: BackdoorRates
  /** CDA of the clean twin: the same fine-tuning without poison. */
  readonly cleanCda: Rate
  /**
   * ASR of the clean twin on the same triggered images: the control that distinguishes a backdoor from a trigger
   * that fools every model.
   */
  readonly cleanAsr: Rate
  /** Differences on the same images, with paired intervals. */
  readonly differences: BackdoorEvaluation['differences']
  readonly stealth: Stealth
  readonly poisoning: Poisoning
  readonly training: readonly TrainingCurve[]
  readonly gallery: readonly GalleryEntry[]
  readonly confusion: ReportConfusion
  readonly data: DataSource
  /** The resolved configuration, YAML. */
  readonly configuration: string
  /** Versions, device, processor: key → value, in the order to show. */
  readonly environment: Readonly<Record<string, string>>
  /** Steps or images per second, durations: key → value, in the order to show. */
  readonly speed: Readonly<Record<string, string>>
  /** The command line that makes this run again. */
  readonly command: string
  /** ISO 8601. */
  readonly startedAt: string
  /** ISO 8601. */
  readonly finishedAt: string
}

/** An attack and where it was published. */
export interface AttackSource {
  readonly name: string
  readonly citation: string
  /** Linked from the citation when it begins with `https://`. */
  readonly url?: string
}

export interface Unchanged {
  readonly count: number
  readonly unchanged: number
}

export interface Poisoning {
  /** The share of the training set, from 0 to 1. */
  readonly rate: number
  /** Training images poisoned. */
  readonly count: number
  /** The target class's name, or in words what the target is (`the next class`). */
  readonly target: string
  /** `all-to-one`, `all-to-all`, `clean-label`. */
  readonly mode: string
  /** Training images that are changed but keep their label. */
  readonly cover: number
  /** Images that the trigger left as they were, of those that got it; left out where it was not counted. */
  readonly unchanged?: { readonly poison: Unchanged; readonly test: Unchanged }
  /** How images are resized for the surrogate, in words; left out where they are not. */
  readonly resizing?: string
}

/** One test image with every stage of the trigger. */
export interface GalleryEntry {
  /** The true class's name. */
  readonly label: string
  /** The class that the victim predicts for the triggered image. */
  readonly victimPredicts: string
  /** The class that the clean twin predicts for the same triggered image. */
  readonly twinPredicts: string
  /** The attacker's goal for this image, if it is not `poisoning.target` (all-to-all). */
  readonly target?: string
  readonly images: readonly GalleryImage[]
}

export interface GalleryImage {
  /** `clean`, `attention gradient`, `mask`, `eroded`, `triggered`, `10×|Δ|`. */
  readonly name: string
  /** The PNG file; one pixel an image pixel is enough, the page enlarges it. */
  readonly png: Uint8Array
}

/** Predicted classes by true class, before and after the attack. */
export interface ReportConfusion extends BackdoorConfusion {
  /** The name of each class, by index. */
  readonly classNames: readonly string[]
}

export interface DataSource {
  readonly name: string
  /** Split name → number of images, in the order to show. */
  readonly splits: Readonly<Record<string, number>>
  /** What a reader must know to compare: `images are JPEG re-encodings (lossy)`. */
  readonly notes: readonly string[]
}
