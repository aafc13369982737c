"""Chains of an attempt in any order: events after A within the window, dealt to different steps."""


def events(unit, a):
    """Events that can be part of A's attempt, by clock and then in order, A first."""
    window = unit.funnel.window
    held = unit.funnel.held
    rows = {e.row: e for at in unit.at for e in at}
    found = [
        e for e in rows.values()
        if 0 <= e.sec - a.sec <= window and e is not a and (not held or (e.held[0] is not None and e.held[0] == a.held[0]))]
    return [a] + sorted(found, key=lambda e: (e.sec, e.row))


def deal(hands, e):
    """All sets of steps, as bits, that events can fill with `e` beside those that filled one of `hands`."""
    return frozenset(hand | 1 << step for hand in hands for step in e.fills if not hand >> step & 1)


def positions(chain, taken=()):
    """The step that each event did: the first takes the lowest that it can, then the second, and so on."""
    if len(taken) == len(chain):
        return taken
    for step in sorted(chain[len(taken)][1].fills):
        if step not in taken and (found := positions(chain, (*taken, step))):
            return found
    return None


def may_come_next(unit, p, c, exclusions):
    return not any(p.sec < x.sec < c.sec for place, _ in exclusions for x in unit.excluded[place])


def deepest(unit, a, exclusions):
    """Row by row the nearest event with which the greatest depth can still be had."""
    order = events(unit, a)
    known = {}

    def best(k, hands):
        """How many further events can follow the one at place k."""
        if (k, hands) not in known:
            known[k, hands] = max([0] + [1 + best(j, more) for j, more in onwards(k, hands)])
        return known[k, hands]

    def onwards(k, hands):
        for j in range(k + 1, len(order)):
            more = deal(hands, order[j])
            if more and may_come_next(unit, order[k], order[j], exclusions):
                yield j, more

    k, hands, chain = 0, deal(frozenset([0]), a), [a]
    while left := best(k, hands):
        k, hands = next((j, more) for j, more in onwards(k, hands) if 1 + best(j, more) == left)
        chain.append(order[k])
    return tuple(enumerate(chain, 1))


def chains(unit, a, exclusions):
    """Every chain, as far as its end and its depth go: of those with the same last event and steps one is enough."""
    order = events(unit, a)
    seen, stack = set(), [(0, deal(frozenset([0]), a), (a,))]
    while stack:
        k, hands, chain = stack.pop()
        if (k, hands) in seen:
            continue
        seen.add((k, hands))
        yield tuple(enumerate(chain, 1))
        for j in range(k + 1, len(order)):
            more = deal(hands, order[j])
            if more and may_come_next(unit, order[k], order[j], exclusions):
                stack.append((j, more, chain + (order[j],)))
