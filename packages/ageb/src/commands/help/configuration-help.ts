import type { Attack } from '@ageb/lab'
import { UsageError } from '@ageb/workbench'
import { colors, type Outcome } from '../../cli/output.js'
import { type ConfigurationKey, configurationTopics, type Topic } from './configuration-topics.js'
import { type Declared, declaredBy, type Preset } from './declared.js'

/** A topic with what its declaration says. */
export type Explained = Topic & Declared

const WIDTH = 100

/**
 * The keys of configurations: all topics in short, or one of them wholly.
 *
 * @param name a topic, such as `training` or `attack.ageb`
 * @param extra attacks of plugins
 * @throws UsageError if there is no such topic
 */
export function configurationHelp(name?: string, extra: readonly Attack[] = []): Outcome {
  const topics = configurationTopics(extra).map(
    (topic): Explained => ({ ...topic, ...declaredBy(topic.topic, extra) }),
  )
  if (name === undefined) return { data: { topics }, text: overview(topics) }
  const found = topics.filter(({ topic }) => topic === name)
  if (found.length === 0) {
    const known = topics.map(({ topic }) => topic).join(', ')
    throw new UsageError(`there is no help on the configuration's '${name}': choose one of ${known}`)
  }
  return { data: { topics: found }, text: found.map(topic => topicText(topic, topics)).join('\n\n') }
}

function overview(topics: readonly Explained[]): string {
  const blocks = topics.map(topic => {
    const words = topic.choice ? topic.choice.values : topic.keys.map(({ key }) => key.split('.').at(-1)!)
    return `${heading(topic)}\n${wrap(words.join(', '), 2)}`
  })
  return [
    "The keys of configurations. 'ageb help config TOPIC' explains them, where TOPIC is a word in front of a colon.",
    ...blocks,
    "In YAML, 'training.epochs' is the key 'epochs' under 'training'; as a flag it is --set training.epochs=3.\n" +
      "'ageb schema' writes a JSON Schema, with which an editor completes and checks keys.",
  ].join('\n\n')
}

/** All that is known of one topic; of a choice also what its values are, from all topics. */
export function topicText(topic: Explained, topics: readonly Explained[]): string {
  const members = topic.choice?.values.map(value =>
    topics.find(one => one.topic === `${topic.topic}.${value}`),
  )
  return [
    heading(topic),
    ...(topic.description ? [wrap(topic.description, 2)] : []),
    ...about(topic),
    ...topic.keys.map(keyText),
    ...(members ?? []).flatMap(member => (member ? [memberText(member)] : [])),
    ...Object.entries(topic.presets ?? {}).map(presetText),
  ].join('\n')
}

/** A topic's name, and in a few words what it holds. */
function heading(topic: Topic): string {
  return `${colors.bold(topic.topic)}: ${contents(topic)}`
}

function contents({ topic, kinds, choice, chosenBy }: Topic): string {
  if (chosenBy) {
    const byDefault = chosenBy.default ? ' (the default)' : ''
    return `keys where ${chosenBy.key} is ${chosenBy.value}${byDefault}`
  }
  if (choice) return `one of these, chosen by ${choice.key}`
  if (kinds.includes(topic)) return `configurations of kind ${topic}`
  return `keys of configurations of kind ${kinds.join(' and ')}`
}

function about({ summary, citation, url, access }: Declared): string[] {
  const source = [citation, url].filter(part => part !== undefined).join(', ')
  const attacker = access && `The attacker controls the ${access === 'data' ? 'training data' : 'training'}.`
  return [summary, source, attacker].flatMap(text => (text ? [wrap(text, 2)] : []))
}

function keyText({ key, type, required, description, topic, ...rest }: ConfigurationKey): string {
  const value = 'default' in rest ? `  default ${JSON.stringify(rest.default)}` : required ? '  required' : ''
  const more = topic === undefined ? '' : `  see 'ageb help config ${topic}'`
  const line = `  ${colors.bold(key)}  ${colors.dim(type)}${value}${more}`
  return description ? `${line}\n${wrap(description, 6)}` : line
}

function memberText({ topic, summary, citation }: Explained): string {
  const text = summary ?? citation ?? ''
  const line = `  ${colors.bold(topic)}`
  return text ? `${line}\n${wrap(text, 6)}` : line
}

function presetText([name, { summary, parameters, poisoning = {}, measured }]: [string, Preset]): string {
  const settings = [...pairs('attack', parameters), ...pairs('poisoning', poisoning)].join(' ')
  return [
    `  ${colors.bold(`preset ${name}`)}`,
    wrap(summary, 6),
    wrap(settings || 'the defaults', 6),
    ...(measured ? [wrap(`measured: ${measured}`, 6)] : []),
  ].join('\n')
}

/** Keys with their values, as `--set` takes them. */
function pairs(under: string, of: object): string[] {
  return Object.entries(of).map(
    ([key, value]) => `${under}.${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
}

/** Text in lines of at most `WIDTH` characters, each indented. */
function wrap(text: string, indent: number): string {
  const lines: string[] = []
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1)
    if (last !== undefined && indent + last.length + 1 + word.length <= WIDTH)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines.map(line => ' '.repeat(indent) + line).join('\n')
}
