import { get } from "../api/fetch.js";

/** The annotations of the project: releases, campaigns and outages on charts over time. */
export const loadAnnotations = async () => (await get("/v1/annotations")).annotations;

/** Those that the charts of a funnel show. */
export const annotationsOf = (funnel, all) => all.filter(({ funnel_id: id }) => !id || id === funnel);

/**
 * Where annotations are on a chart that has a point for each period.
 * @param starts of the periods, ascending, in milliseconds
 * @param end of the last period
 * @returns `[{annotation, from, to}]`: indexes of the first and the last of its points
 */
export function placed(annotations, starts, end) {
  const pointAt = time => starts.findLastIndex(start => start <= time);
  return annotations.flatMap(annotation => {
    const first = Date.parse(annotation.start);
    const last = Date.parse(annotation.end ?? annotation.start);
    if (!starts.length || last < starts[0] || first >= end) return [];
    return [{ annotation, from: Math.max(0, pointAt(first)), to: pointAt(last) }];
  });
}
