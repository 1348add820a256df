import { fromFloat, toFloat } from '../../../core/units.ts'
import { dailyVolatility, haircut, squareRootImpact, stressScenarios, withStressWeight, worstFall } from '../../risk/index.ts'
import { leastConfident, stressAssetOf, type Confidence } from '../context.ts'
import { count, money, percent } from '../format.ts'
import { register } from '../model.ts'

type Data = {
  readonly symbol: string
  readonly dailyVolatility: number
  readonly barCount: number
  readonly observations: number
  readonly z: number
  readonly horizonHours: number
  readonly heldUsd: number
  readonly assumedDailyVolumeUsd: number
  readonly discount: number
  readonly stressFall: number
  readonly stressScenario: string
  readonly stressWeight: number
  readonly floor: number
  readonly confidence: Confidence
}

register<Data>({
  parameter: 'collateralRatio',
  model: 'haircut',
  version: '3',
  tightWay: 'down',
  prepare: (context, parameter) => {
    const token = context.collateral(parameter.subject)
    const feed = token.oracle?.feed ?? null
    const found = context.volatility(feed, token.symbol)
    const price = token.oracle === null ? 0 : toFloat(BigInt(token.oracle.priceE18), 18)
    const { collateral, barSec, z } = context.policy
    const asset = stressAssetOf(token.symbol)
    const worst = worstFall(stressScenarios('severe'), asset, context.beta(feed, asset))
    return {
      symbol: token.symbol,
      dailyVolatility: dailyVolatility(Math.max(found.now, found.longRun), barSec),
      barCount: found.barCount,
      observations: found.observations,
      z,
      horizonHours: collateral.horizonHours,
      heldUsd: toFloat(BigInt(token.totalBalance), token.decimals) * price,
      assumedDailyVolumeUsd: collateral.assumedDailyVolumeUsd,
      discount: context.ratio(context.names.collateralDiscount, parameter.subject),
      stressFall: worst.fall,
      stressScenario: worst.scenario,
      stressWeight: collateral.stressWeight,
      floor: collateral.floor,
      confidence: leastConfident([context.confidence(feed, context.alarmOf('COLLATERAL', parameter.subject))], 0.9, 'volume elsewhere assumed'),
    }
  },
  evaluate: (data, parameter) => {
    const impact = squareRootImpact({ dailyVolatility: data.dailyVolatility, quantity: data.heldUsd, dailyVolume: data.assumedDailyVolumeUsd })
    const plain = haircut({ z: data.z, dailyVolatility: data.dailyVolatility, horizonHours: data.horizonHours, impact: 0, floor: 0 }).haircut
    const addOns = [
      { name: 'stress', value: Math.max(0, withStressWeight(plain, data.stressFall, data.stressWeight) - plain) },
      { name: 'liquidation discount', value: data.discount },
    ]
    const result = haircut({ z: data.z, dailyVolatility: data.dailyVolatility, horizonHours: data.horizonHours, impact, floor: data.floor, addOns })
    return {
      raw: fromFloat(result.collateralRatio, parameter.decimals, 'floor'),
      value: result.collateralRatio,
      because: `a daily volatility of ${percent(data.dailyVolatility)} of ${data.symbol}, ${percent(data.stressWeight)} weight on its worst hour (${percent(-data.stressFall)}), ${percent(impact)} of impact and the liquidation discount of ${percent(data.discount)} ask for ${result.floored ? `less than the smallest haircut that the policy allows, ${percent(result.haircut)}` : `a haircut of ${percent(result.haircut)}`}, a collateral ratio of ${percent(result.collateralRatio)}`,
      evidence: [
        { label: 'Daily volatility', value: percent(data.dailyVolatility), unit: 'of price', source: `oracle price updates, ${count(data.observations)} returns in ${count(data.barCount)} bars; the larger of now and the window` },
        ...result.components.map((c) => ({ label: `Haircut for ${c.name}`, value: percent(c.value), unit: 'of value', source: c.name === 'volatility' ? `${data.z} σ over ${data.horizonHours} h` : c.name === 'impact' ? 'square-root law' : c.name === 'stress' ? `weight ${percent(data.stressWeight)} on ${data.stressScenario} (${percent(-data.stressFall)})` : 'the protocol’s discountRatio' })),
        { label: 'Held as collateral', value: money(data.heldUsd, 'USD'), unit: 'at index price', source: 'vault deposits' },
        { label: 'Daily volume elsewhere', value: money(data.assumedDailyVolumeUsd, 'USD'), unit: 'per day', source: 'assumed by policy; the chain does not show it' },
        { label: 'Smallest haircut', value: percent(data.floor), unit: 'of value', source: 'policy' },
      ],
      confidence: data.confidence,
      riskOf: (raw) => 1 - toFloat(raw, parameter.decimals),
    }
  },
})
