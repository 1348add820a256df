import Sequencer from '@jest/test-sequencer'

/** What takes minutes comes first, so that no worker is left with it at the end. */
const LONG = ['console/pages', 'e2e/start', 'chaos/chaos', 'protocols/curie-replay', 'console/', 'subgraph/mappings']
const placeOf = ({ path }) => {
  const place = LONG.findIndex((part) => path.includes(`/test/${part}`))
  return place === -1 ? LONG.length : place
}

export default class LongFirst extends Sequencer {
  async sort(tests) {
    return [...(await super.sort(tests))].sort((a, b) => placeOf(a) - placeOf(b))
  }
}
