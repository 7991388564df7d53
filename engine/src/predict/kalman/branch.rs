//! A filter carried over to a network of the same structure whose parameters are believed to be others: the hypothesis that
//! something happened to the thing itself.

use super::Filter;
use crate::dynamics::{definition::DynamicsDef, model::DynamicsError};
use std::{collections::BTreeMap, sync::Arc};

impl Filter {
    /// The same state under another network: temperatures and their covariance stay, and so does what was learnt, by name. Of
    /// the `fresh` parameters the network's own value and prior hold; where such a one is free, it is learnt from now on.
    ///
    /// # Errors
    /// When the network does not compile, or has not the same storages, outputs and inputs.
    pub fn carried_to(
        &self,
        def: &DynamicsDef,
        covariates: &BTreeMap<String, f64>,
        fresh: &[String],
    ) -> Result<Self, DynamicsError> {
        let mine = &self.fixed.model;
        let free = |name: &String| def.parameters.get(name).is_some_and(|p| p.prior != Default::default());
        let name = |i: &usize| mine.parameters[*i].name.clone();
        let mut learn: Vec<String> =
            self.fixed.learnt.iter().map(name).filter(|n| free(n) && !fresh.contains(n)).collect();
        learn.extend(fresh.iter().filter(|n| free(n)).cloned());
        let mut out = Self::with_covariates(def, &learn, covariates)?;
        if out.y.len() != self.y.len() || out.fixed.model.states() != mine.states() {
            return Err(DynamicsError::Figure {
                place: "network".to_owned(),
                why: "a hypothesis must have the storages, outputs and inputs of what it is about".to_owned(),
            });
        }
        let dim = self.y.len();
        out.y.copy_from_slice(&self.y);
        out.loads.clone_from(&self.loads);
        out.restless = self.restless;
        // Where each entry of the new joint state was in the old one.
        let mut from: Vec<Option<usize>> = (0..dim).map(Some).collect();
        let theta = Arc::make_mut(&mut out.theta);
        for (k, i) in out.fixed.learnt.clone().into_iter().enumerate() {
            let name = &out.fixed.model.parameters[i].name;
            let old = mine.parameter(name).filter(|_| !fresh.contains(name));
            let place = old.and_then(|q| self.fixed.column[q]);
            if let (Some(q), Some(p)) = (old, place) {
                theta[i] = self.theta[q];
                out.eta[k] = self.eta[p];
            }
            from.push(place.map(|p| dim + p));
        }
        for (i, p) in out.fixed.model.parameters.iter().enumerate() {
            // What was learnt, and is now held, stays where it came to.
            if let Some(q) = mine.parameter(&p.name)
                && out.fixed.column[i].is_none()
                && self.fixed.column[q].is_some()
                && !fresh.contains(&p.name)
            {
                theta[i] = self.theta[q];
            }
        }
        for (a, old_a) in from.iter().enumerate() {
            for (b, old_b) in from.iter().enumerate() {
                match (old_a, old_b) {
                    (Some(i), Some(j)) => out.p[(a, b)] = self.p[(*i, *j)],
                    _ if a != b => out.p[(a, b)] = 0.0,
                    _ => {}
                }
            }
        }
        Ok(out)
    }
}
