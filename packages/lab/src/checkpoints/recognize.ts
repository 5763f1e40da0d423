import { InputError } from 'onnxgrad'
import type { CheckpointTensors } from './checkpoint-tensor.js'
import type { PlainObject } from './configuration.js'
import { fromTimmNames, isTimmNamed, timmShapes } from './timm-tensors.js'
import {
  fromTorchvisionSwin,
  fromTorchvisionViT,
  isTorchvisionSwin,
  isTorchvisionViT,
  type Named,
} from './torchvision.js'

export interface Recognized extends Named {
  /** What is not in the file and was taken for granted, for the user. */
  readonly remarks: readonly string[]
}

/** Heads of published ViTs and DeiTs by width and number of blocks, and what they are called. */
const published: readonly (readonly [width: number, blocks: number, heads: number, name: string])[] = [
  [192, 12, 3, 'Ti'],
  [384, 12, 6, 'S'],
  [512, 12, 8, 'M'],
  [768, 12, 12, 'B'],
  [1024, 24, 16, 'L'],
  [1280, 32, 16, 'H'],
  [1408, 40, 16, 'g'],
  [1536, 40, 24, 'g (DINOv2)'],
  [1664, 48, 16, 'G'],
]
/** More prefixes than wrappers put on. */
const MOST_PREFIXES = 4
/** At which the published Swin Transformers of torchvision were trained, pixels. */
const SWIN_SIDE = 224

/** Whether tensors have the names of timm or torchvision, from which a model can be told without a config.json. */
export function isRecognized(tensors: CheckpointTensors): boolean {
  return isTimmNamed(tensors) || isTorchvisionViT(tensors) || isTorchvisionSwin(tensors)
}

/**
 * A model of timm or torchvision from its tensors' names and shapes. What they leave open has to be said in `asked`, or
 * is that of the published model of these sizes, which the remarks then say.
 *
 * @param asked keys of a config.json; they go before what the shapes tell.
 * @param file its name, for messages.
 * @throws InputError if something that is left open is neither.
 */
export function recognize(tensors: CheckpointTensors, asked: PlainObject, file: string): Recognized {
  const { config, tensors: named } = namesOf(tensors, asked, file)
  const remarks: string[] = []
  const open: PlainObject = {}
  if (config.model_type === 'swin') {
    if (asked.image_size === undefined) {
      open.image_size = SWIN_SIDE
      remarks.push(`${file}: image_size ${SWIN_SIDE} is taken, as the published Swin Transformers have it`)
    }
  } else if (asked.num_attention_heads === undefined) {
    const [, , heads, name] = publishedAs(config, file)
    open.num_attention_heads = heads
    remarks.push(`${file}: num_attention_heads ${heads} is taken, as the published ViT-${name} has it`)
  }
  const head = named.get('classifier.weight') ?? named.get('cls_classifier.weight')
  const classes = head && asked.id2label === undefined ? { num_labels: head.shape[0] } : {}
  return { config: { ...config, ...open, ...classes, ...asked }, tensors: named, remarks }
}

function namesOf(tensors: CheckpointTensors, asked: PlainObject, file: string): Named {
  if (isTorchvisionViT(tensors)) return fromTorchvisionViT(tensors, file)
  if (isTorchvisionSwin(tensors)) return fromTorchvisionSwin(tensors, file)
  const imageSize = typeof asked.image_size === 'number' ? asked.image_size : undefined
  const shapes = timmShapes(tensors, file, { imageSize })
  return { config: shapes, tensors: fromTimmNames(tensors, shapes) }
}

function publishedAs({ hidden_size, num_hidden_layers, class_token }: PlainObject, file: string) {
  // Of those without a class token, some have other numbers of heads.
  const found = published.find(
    ([width, blocks]) => width === hidden_size && blocks === num_hidden_layers && class_token !== false,
  )
  if (found) return found
  throw new InputError(
    `${file}: no tensor tells the number of attention heads, and no published ViT has width ${hidden_size} and ` +
      `${num_hidden_layers} blocks: put a config.json beside it with {"num_attention_heads": …}`,
  )
}

/**
 * Tensors without the prefix that all their names have: one that DistributedDataParallel or torch.compile put there, or
 * any without which they are known.
 * @returns the prefix, '' if there is none.
 */
export function withoutPrefix(tensors: CheckpointTensors): { tensors: CheckpointTensors; prefix: string } {
  const names = [...tensors.keys()]
  const cut = (prefix: string) =>
    new Map([...tensors].map(([name, tensor]) => [name.slice(prefix.length), tensor]))
  // Of the first name: '', 'module.', 'module.1.', and so on; the last is the longest that all names have.
  const parts = names[0]?.split('.', MOST_PREFIXES + 1).slice(0, -1) ?? []
  const prefixes = parts.map((_, i) => `${parts.slice(0, i + 1).join('.')}.`)
  const common = ['', ...prefixes].filter(prefix => names.every(name => name.startsWith(prefix)))
  const known = common.find(prefix => isRecognized(cut(prefix)))
  const prefix = known ?? common.findLast(prefix => WRAPPERS.test(prefix))!
  return { tensors: cut(prefix), prefix }
}

const WRAPPERS = /^((module|_orig_mod)\.)*$/
