import { BigInt, Bytes, ethereum, log } from '@graphprotocol/graph-ts'
import { BadDebt, CollateralAsset, CollateralBalance, CollateralChange, CollateralLiquidation } from '../generated/schema'
import { BadDebtSettled, CollateralLiquidated, Deposited, Withdrawn } from '../generated/Vault/Vault'
import { insuranceFundAddress, settlementTokenAddress } from '../generated/network'
import { loadFund, recordFlow, saveFund, vaultBalanceE18 } from './insurance-fund'
import { loadAccount, saveAccount } from './states'
import { ZERO, e18ToSettlement, factId, settlementToE18 } from './units'

export function handleDeposited(event: Deposited): void { deposit(event) }
export function handleWithdrawn(event: Withdrawn): void { withdraw(event) }
export function handleCollateralLiquidated(event: CollateralLiquidated): void { liquidateCollateral(event) }
export function handleBadDebtSettled(event: BadDebtSettled): void { settleBadDebt(event) }

/** trader is the account that was credited; who paid is not in the log. */
function deposit(event: Deposited): void {
  const p = event.params
  const account = loadAccount(p.trader, event)
  if (p.collateralToken.equals(settlementTokenAddress())) {
    account.settlementBalance = account.settlementBalance.plus(p.amount)
    saveAccount(account, event)
  } else moveCollateral(p.trader, p.collateralToken, p.amount, event)
  recordCollateralChange(event, p.trader, p.collateralToken, 'DEPOSIT', p.amount)

  if (p.trader.equals(insuranceFundAddress())) {
    const fund = loadFund(event)
    fund.vaultBalanceE18 = vaultBalanceE18(account)
    // Out of the fund's own wallet it is a repayment, which Repaid names. Anything else is a gift from outside.
    if (fund.inTransit.ge(p.amount)) {
      fund.inTransit = fund.inTransit.minus(p.amount)
      saveFund(fund, event)
    } else recordFlow(event, fund, 'TRANSFER_IN', settlementToE18(p.amount), null, null)
  }
}

/**
 * A withdrawal of the settlement token first moves all owed PnL into the balance, rounded toward minus infinity: what is below one
 * unit of the token is gone. A withdrawal of 0 does so, too. A withdrawal of other collateral leaves owed PnL where it is.
 */
function withdraw(event: Withdrawn): void {
  const p = event.params
  const account = loadAccount(p.trader, event)
  if (p.collateralToken.equals(settlementTokenAddress())) {
    account.settlementBalance = account.settlementBalance.plus(e18ToSettlement(account.owedRealizedPnlE18)).minus(p.amount)
    account.owedRealizedPnlE18 = ZERO
    saveAccount(account, event)
  } else moveCollateral(p.trader, p.collateralToken, p.amount.neg(), event)
  recordCollateralChange(event, p.trader, p.collateralToken, 'WITHDRAW', p.amount)

  if (p.trader.equals(insuranceFundAddress())) {
    const fund = loadFund(event)
    fund.vaultBalanceE18 = vaultBalanceE18(account)
    saveFund(fund, event)
  }
}

/**
 * The liquidator paid repaid + fee from its own wallet and got the collateral there: nothing of its account moves.
 * repaidSettlementWithoutInsuranceFundFee goes to the trader's settlement balance, the fee to the fund's.
 */
function liquidateCollateral(event: CollateralLiquidated): void {
  const p = event.params
  const repaid = p.repaidSettlementWithoutInsuranceFundFeeX10_S
  const account = loadAccount(p.trader, event)
  account.settlementBalance = account.settlementBalance.plus(repaid)
  saveAccount(account, event)
  moveCollateral(p.trader, p.collateralToken, p.collateral.neg(), event)

  const liquidation = new CollateralLiquidation(factId(event))
  liquidation.account = p.trader
  liquidation.token = p.collateralToken
  liquidation.liquidator = p.liquidator
  liquidation.amount = p.collateral
  liquidation.repaid = repaid
  liquidation.insuranceFundFee = p.insuranceFundFeeX10_S
  liquidation.discountRatioE6 = p.discountRatio
  liquidation.blockNumber = event.block.number
  liquidation.timestamp = event.block.timestamp
  liquidation.transactionHash = event.transaction.hash
  liquidation.logIndex = event.logIndex.toI32()
  liquidation.save()

  if (!p.insuranceFundFeeX10_S.isZero()) payFund(event, 'COLLATERAL_LIQUIDATION_FEE', p.insuranceFundFeeX10_S, p.liquidator)
}

/** The trader's settlement balance rises by the debt, the fund's falls by it. Owed PnL stays: the two cancel out. */
function settleBadDebt(event: BadDebtSettled): void {
  const p = event.params
  const amountE18 = settlementToE18(p.amount)
  const account = loadAccount(p.trader, event)
  account.settlementBalance = account.settlementBalance.plus(p.amount)
  account.badDebtE18 = account.badDebtE18.plus(amountE18)
  saveAccount(account, event)

  const badDebt = new BadDebt(factId(event))
  badDebt.account = p.trader
  badDebt.amount = p.amount
  badDebt.blockNumber = event.block.number
  badDebt.timestamp = event.block.timestamp
  badDebt.transactionHash = event.transaction.hash
  badDebt.logIndex = event.logIndex.toI32()
  badDebt.save()

  payFund(event, 'BAD_DEBT', p.amount.neg(), p.trader)
}

/** Moves the fund's settlement balance and writes the flow. amount: settlement decimals, into the fund is positive. */
function payFund(event: ethereum.Event, kind: string, amount: BigInt, counterparty: Bytes): void {
  const account = loadAccount(insuranceFundAddress(), event)
  account.settlementBalance = account.settlementBalance.plus(amount)
  saveAccount(account, event)

  const fund = loadFund(event)
  fund.vaultBalanceE18 = vaultBalanceE18(account)
  if (kind == 'BAD_DEBT') fund.badDebtE18 = fund.badDebtE18.minus(settlementToE18(amount))
  recordFlow(event, fund, kind, settlementToE18(amount), counterparty, null)
}

function moveCollateral(trader: Bytes, token: Bytes, delta: BigInt, event: ethereum.Event): void {
  const asset = CollateralAsset.load(token)
  if (asset === null) log.critical('token {} was never added to CollateralManager', [token.toHexString()])
  asset!.totalBalance = asset!.totalBalance.plus(delta)
  asset!.updatedAtBlock = event.block.number
  asset!.updatedAtTimestamp = event.block.timestamp
  asset!.save()

  const id = trader.concat(token)
  let balance = CollateralBalance.load(id)
  if (balance === null) {
    balance = new CollateralBalance(id)
    balance.account = trader
    balance.asset = token
    balance.amount = ZERO
  }
  balance.amount = balance.amount.plus(delta)
  balance.updatedAtBlock = event.block.number
  balance.updatedAtTimestamp = event.block.timestamp
  balance.save()
}

function recordCollateralChange(event: ethereum.Event, trader: Bytes, token: Bytes, kind: string, amount: BigInt): void {
  const change = new CollateralChange(factId(event))
  change.account = trader
  change.token = token
  change.kind = kind
  change.amount = amount
  change.blockNumber = event.block.number
  change.timestamp = event.block.timestamp
  change.transactionHash = event.transaction.hash
  change.logIndex = event.logIndex.toI32()
  change.save()
}
