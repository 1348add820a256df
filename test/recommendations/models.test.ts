import { describe, expect, test } from '@jest/globals'
import { modelOf, models } from '../../api/recommendations/model.ts'
import { PARAMETER_MODELS } from '../../api/recommendations/models.ts'
import '../../api/recommendations/parameters/index.ts'
import { DEFAULT_POLICY } from '../../api/recommendations/policy.ts'
import { curie } from '../../protocols/curie/index.ts'

describe('a model or a reason for every parameter', () => {
  test('behavior: the table names the parameters of the catalog, all of them and no others', () => {
    expect(Object.keys(PARAMETER_MODELS).sort()).toEqual(curie.catalog.specs.map((s) => s.name).sort())
  })
  test('behavior: a named model is registered for that parameter and has a policy', () => {
    const named = Object.entries(PARAMETER_MODELS).filter(([, entry]) => entry.model !== null)
    expect(named.map(([name, entry]) => [name, entry.model])).toEqual(named.map(([name]) => [name, modelOf(name)?.model]))
    expect(named.map(([name]) => name).sort()).toEqual(models().map((m) => m.parameter).sort())
    expect(named.filter(([name]) => DEFAULT_POLICY.parameters[name] === undefined)).toEqual([])
  })
  test('behavior: what has no model says why in a sentence', () => {
    for (const [name, entry] of Object.entries(PARAMETER_MODELS)) expect([name, (entry.model ?? entry.reason ?? '').length > (entry.model === null ? 40 : 3)]).toEqual([name, true])
  })
})
