/** Accounts of the devnet that may do something at the API, signed in. */
import { privateKeyToAccount } from 'viem/accounts'
import type { PrivateKeyAccount } from 'viem/accounts'
import { signIn } from '../../cli/signIn.ts'
import { DEVNET_CHAIN_ID, devnetAccounts } from '../../devnet/keys.ts'
import { policy } from '../graphql/support.ts'

const accounts = (role: 'spare' | 'safeOwner'): readonly PrivateKeyAccount[] => devnetAccounts(role, DEVNET_CHAIN_ID).map(({ privateKey }) => privateKeyToAccount(privateKey))
const isSteward = ({ address }: PrivateKeyAccount): boolean => policy.stewards.some((one) => one.toLowerCase() === address.toLowerCase())

/** One of those that the devnet's policy names. */
export const steward = accounts('spare').find(isSteward)!
export const owners = accounts('safeOwner')
/** Neither. */
export const stranger = accounts('spare').find((one) => !isSteward(one))!

/** `authorization` of a session. */
export const bearer = async (apiUrl: string, account: PrivateKeyAccount): Promise<{ authorization: string }> => ({ authorization: `Bearer ${await signIn(apiUrl, account)}` })
