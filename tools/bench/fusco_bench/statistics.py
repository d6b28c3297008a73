"""The little statistics that records and comparisons need."""
import math

import numpy

CONFIDENCE = 0.95


def medianError(median, quartiles, count):
    """Half the width of an interval that holds the true median with some 95 %
    (McGill's notch), as a fraction of the median."""
    if median <= 0:
        return 0.0
    return 1.57 * (quartiles[1] - quartiles[0]) / math.sqrt(count) / median


def binomialTail(successes, trials):
    """The probability of at most so many heads of so many fair coins."""
    return sum(math.comb(trials, k) for k in range(successes + 1)) / 2**trials


def medianInterval(values):
    """An interval from order statistics that holds the true median with at
    least 95 %, whatever the distribution. None if there are too few values."""
    ordered = sorted(values)
    count = len(ordered)
    k = -1
    while k + 1 < count // 2 and 2 * binomialTail(k + 1, count) <= 1 - CONFIDENCE:
        k += 1
    return None if k < 0 else (ordered[k], ordered[count - 1 - k])


def signTest(ratios):
    """Two-sided: how likely it is that so many, or more, ratios lie on one side
    of 1 if neither side is more likely."""
    above = sum(ratio > 1 for ratio in ratios)
    below = sum(ratio < 1 for ratio in ratios)
    if above + below == 0:
        return 1.0
    return min(1.0, 2 * binomialTail(min(above, below), above + below))


def leastPairs():
    """The fewest pairs for which medianInterval() gives one."""
    pairs = 1
    while 2 * binomialTail(0, pairs) > 1 - CONFIDENCE:
        pairs += 1
    return pairs


def fitLinear(terms, values):
    """values = sum of coefficient * term, with no coefficient below 0, by least
    squares of relative errors. `terms`: [points, terms]. Returns coefficients
    and relative residuals, fitted over measured minus 1."""
    values = numpy.asarray(values, float)
    scaled = numpy.asarray(terms, float) / values[:, None]
    kept = list(range(scaled.shape[1]))
    coefficients = numpy.zeros(scaled.shape[1])
    while kept:
        found = numpy.linalg.lstsq(scaled[:, kept], numpy.ones(len(values)), rcond=None)[0]
        if found.min() >= 0:
            coefficients[kept] = found
            break
        del kept[int(found.argmin())]
    return coefficients, scaled @ coefficients - 1


def exponents(sizes, values):
    """Between neighbours: d log(value) / d log(size)."""
    return [
        math.log(values[i + 1] / values[i]) / math.log(sizes[i + 1] / sizes[i])
        for i in range(len(sizes) - 1)
    ]
