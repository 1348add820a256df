import { BigInt, Bytes, ethereum } from '@graphprotocol/graph-ts'
import { Account, FundSample, InsuranceFund, InsuranceFundFlow, Parameter } from '../generated/schema'
import { FeeDistributed, Repaid } from '../generated/InsuranceFund/InsuranceFund'
import { Transfer } from '../generated/SettlementToken/ERC20'
import { clearingHouseAddress, insuranceFundAddress, vaultAddress } from '../generated/network'
import { parameterId } from './parameters'
import { protocolId } from './states'
import { ZERO, addressToInt, factId, intToAddress, settlementToE18 } from './units'

export function handleFundReceived(event: Transfer): void { receive(event) }
export function handleFundSent(event: Transfer): void { send(event) }
export function handleRepaid(event: Repaid): void { repay(event) }
export function handleFeeDistributed(event: FeeDistributed): void { distribute(event) }

/** The fund; created, unsaved, at its first event. */
export function loadFund(event: ethereum.Event): InsuranceFund {
  const stored = InsuranceFund.load(insuranceFundAddress())
  if (stored !== null) return stored
  const fund = new InsuranceFund(insuranceFundAddress())
  fund.protocol = protocolId(event)
  fund.walletBalance = ZERO
  fund.vaultBalanceE18 = ZERO
  fund.inTransit = ZERO
  fund.inflowE18 = ZERO
  fund.outflowE18 = ZERO
  fund.badDebtE18 = ZERO
  return fund
}

export function saveFund(fund: InsuranceFund, event: ethereum.Event): void {
  fund.updatedAtBlock = event.block.number
  fund.updatedAtTimestamp = event.block.timestamp
  fund.save()
}

/** What an account holds in the vault apart from collateral: owed PnL + settlement balance, E18. */
export function vaultBalanceE18(account: Account): BigInt {
  return account.owedRealizedPnlE18.plus(settlementToE18(account.settlementBalance))
}

/** Writes a flow and its sum into the fund. The vault balance must be up to date. */
export function recordFlow(event: ethereum.Event, fund: InsuranceFund, kind: string, amountE18: BigInt, counterparty: Bytes | null, market: Bytes | null): void {
  if (kind != 'REPAID') {
    if (amountE18.gt(ZERO)) fund.inflowE18 = fund.inflowE18.plus(amountE18)
    else fund.outflowE18 = fund.outflowE18.minus(amountE18)
  }
  saveFund(fund, event)

  const flow = new InsuranceFundFlow(factId(event))
  flow.fund = fund.id
  flow.kind = kind
  flow.amountE18 = amountE18
  flow.counterparty = counterparty
  flow.market = market
  flow.balanceAfterE18 = settlementToE18(fund.walletBalance).plus(fund.vaultBalanceE18)
  flow.blockNumber = event.block.number
  flow.timestamp = event.block.timestamp
  flow.transactionHash = event.transaction.hash
  flow.logIndex = event.logIndex.toI32()
  flow.save()

  const sample = new FundSample(0)
  sample.fund = fund.id
  sample.balanceE18 = flow.balanceAfterE18
  sample.inflowE18 = kind != 'REPAID' && amountE18.gt(ZERO) ? amountE18 : ZERO
  sample.outflowE18 = kind != 'REPAID' && amountE18.lt(ZERO) ? amountE18.neg() : ZERO
  sample.badDebtE18 = kind == 'BAD_DEBT' ? amountE18.neg() : ZERO
  sample.save()
}

/**
 * Turns what the fund's account gained since its last flow into a flow, and answers with it (E18, 0 for none).
 * The gain comes by PnlRealized, which names neither reason nor counterparty; the later log that calls this does.
 */
export function recordFundIncome(event: ethereum.Event, kind: string, counterparty: Bytes, market: Bytes): BigInt {
  const account = Account.load(insuranceFundAddress())
  if (account === null) return ZERO
  const fund = loadFund(event)
  const balanceE18 = vaultBalanceE18(account)
  const gainE18 = balanceE18.minus(fund.vaultBalanceE18)
  if (gainE18.isZero()) return ZERO
  fund.vaultBalanceE18 = balanceE18
  recordFlow(event, fund, kind, gainE18, counterparty, market)
  return gainE18
}

/** Settlement tokens into the wallet. From the vault it is the first leg of a distribution: the fund's own money. */
function receive(event: Transfer): void {
  const fund = loadFund(event)
  fund.walletBalance = fund.walletBalance.plus(event.params.value)
  if (event.params.from.equals(vaultAddress())) saveFund(fund, event)
  else recordFlow(event, fund, 'TRANSFER_IN', settlementToE18(event.params.value), event.params.from, null)
}

/** Settlement tokens out of the wallet: to the vault it repays, to the beneficiary FeeDistributed tells of it. */
function send(event: Transfer): void {
  const fund = loadFund(event)
  fund.walletBalance = fund.walletBalance.minus(event.params.value)
  if (event.params.to.equals(vaultAddress())) {
    fund.inTransit = fund.inTransit.plus(event.params.value)
    saveFund(fund, event)
  } else if (isBeneficiary(event.params.to)) saveFund(fund, event)
  else recordFlow(event, fund, 'TRANSFER_OUT', settlementToE18(event.params.value).neg(), event.params.to, null)
}

function isBeneficiary(address: Bytes): boolean {
  const parameter = Parameter.load(parameterId('surplusBeneficiary', clearingHouseAddress()))
  if (parameter === null) return false
  return parameter.value.equals(addressToInt(address))
}

/** The token's Transfer and the Vault's Deposited have moved the balances already; this names the flow. */
function repay(event: Repaid): void {
  recordFlow(event, loadFund(event), 'REPAID', settlementToE18(event.params.repaidAmount), null, null)
}

/**
 * The Vault's Withdrawn and the token's Transfer have moved the balances already; this names the flow.
 * insuranceFundCapacity and insuranceFundFreeCollateral are as of before the distribution.
 */
function distribute(event: FeeDistributed): void {
  const beneficiary = Parameter.load(parameterId('surplusBeneficiary', clearingHouseAddress()))
  let counterparty: Bytes | null = null
  if (beneficiary !== null) counterparty = intToAddress(beneficiary.value)
  recordFlow(event, loadFund(event), 'DISTRIBUTED', settlementToE18(event.params.surplus).neg(), counterparty, null)
}
