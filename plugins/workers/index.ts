export { isWorker, joinSupervisor, type Membership, type WorkerDuties, workerId } from './membership.ts'
export { type Settings, Supervisor, type SupervisorLog } from './supervisor.ts'
