import { foreignHook, type GatewaySketch } from './forwarding-helper.ts'

/** The two ways that responses take through the gateway: straight, and through a hook of somebody else. */
export const MODES: readonly Pick<GatewaySketch, 'prepare'>[] = [{}, { prepare: foreignHook }]

export function modeOf(mode: object): string {
  return 'prepare' in mode ? 'with an onSend hook' : 'without hooks'
}
