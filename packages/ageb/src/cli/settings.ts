import type { BackdoorRunConfig } from '@ageb/workbench'
import { assign, check, demoConfiguration, readConfiguration, UsageError } from '@ageb/workbench'

type Plain = Record<string, unknown>

/**
 * A configuration with the assignments of `--set`, in order.
 *
 * @throws UsageError if one is no `path=value`, or its value is no YAML
 */
export function assignAll(plain: Plain, assignments: readonly string[] = []): Plain {
  return assignments.reduce((configuration, assignment) => {
    try {
      return assign(configuration, assignment)
    } catch (error) {
      if (error instanceof UsageError) throw error
      const reason = (error as Error).message.split('\n')[0]
      throw new UsageError(`--set ${assignment}: the value is not YAML (${reason})`)
    }
  }, plain)
}

/** Which attack, for commands that compute triggers outside a run. */
export interface AttackFlags {
  /** A configuration file; that of the demo if not given. */
  readonly config?: string
  readonly set?: readonly string[]
  /** The surrogate, in place of the configuration's. */
  readonly model?: string
}

/** The configuration of a backdoor experiment that the flags describe. Throws UsageError. */
export async function attackSettings({ config, set, model }: AttackFlags): Promise<BackdoorRunConfig> {
  const { backdoorRunConfig } = await import('@ageb/workbench')
  const file = config ?? demoConfiguration
  const plain = assignAll(await readConfiguration(file), set)
  return check(backdoorRunConfig, model === undefined ? plain : { ...plain, surrogate: model }, file)
}
