//! Which webhooks get an event, and which skip it because they are inactive. Costs by matches, not by webhooks.

use std::{collections::HashMap, sync::Arc};

use crate::{EventType, InstanceId, Scope};

/// What the index must know of a webhook.
pub trait Subscription {
    /// Its id.
    fn id(&self) -> i64;
    /// Its instance.
    fn instance(&self) -> &InstanceId;
    /// The event types that it gets.
    fn events(&self) -> &[EventType];
    /// The projects whose events it gets.
    fn scope(&self) -> &Scope;
    /// Whether it gets any at all, or skips them.
    fn active(&self) -> bool;
}

/// Where webhooks of an instance are found: by event type and project, `None` standing for all projects.
type Places<W> = HashMap<(EventType, Option<i64>), Vec<Arc<W>>>;

/// How many webhooks of an instance select each event type, by its place in the catalogue.
type Selections = [usize; EventType::ALL.len()];

/// Webhooks by instance, event type and project.
#[derive(Debug)]
pub struct MatchIndex<W> {
    webhooks: HashMap<i64, Arc<W>>,
    instances: HashMap<InstanceId, Places<W>>,
    selections: HashMap<InstanceId, Selections>,
}

impl<W> Default for MatchIndex<W> {
    fn default() -> Self {
        Self { webhooks: HashMap::new(), instances: HashMap::new(), selections: HashMap::new() }
    }
}

impl<W: Subscription> MatchIndex<W> {
    /// Adds a webhook, or replaces the one with its id.
    pub fn insert(&mut self, webhook: W) {
        self.remove(webhook.id());
        let webhook = Arc::new(webhook);
        self.webhooks.insert(webhook.id(), Arc::clone(&webhook));
        let selections = self.selections.entry(webhook.instance().clone()).or_default();
        for event in webhook.events() {
            selections[event.index()] += 1;
        }
        let places = self.instances.entry(webhook.instance().clone()).or_default();
        for key in keys(&*webhook) {
            places.entry(key).or_default().push(Arc::clone(&webhook));
        }
    }

    /// Removes a webhook; one that is not there is no error.
    pub fn remove(&mut self, id: i64) {
        let Some(webhook) = self.webhooks.remove(&id) else { return };
        if let Some(selections) = self.selections.get_mut(webhook.instance()) {
            for event in webhook.events() {
                selections[event.index()] -= 1;
            }
            if selections.iter().all(|count| *count == 0) {
                self.selections.remove(webhook.instance());
            }
        }
        let Some(places) = self.instances.get_mut(webhook.instance()) else { return };
        for key in keys(&*webhook) {
            if let Some(list) = places.get_mut(&key) {
                list.retain(|other| other.id() != id);
                if list.is_empty() {
                    places.remove(&key);
                }
            }
        }
        if places.is_empty() {
            self.instances.remove(webhook.instance());
        }
    }

    /// A webhook by its id, active or not.
    #[must_use]
    pub fn get(&self, id: i64) -> Option<&Arc<W>> {
        self.webhooks.get(&id)
    }

    /// The active webhooks that get an event of this type in this project, each once.
    pub fn matches(&self, instance: &InstanceId, event: EventType, project: i64) -> impl Iterator<Item = &Arc<W>> {
        self.selecting(instance, event, project).filter(|webhook| webhook.active())
    }

    /// The webhooks that would get it as well, were they active, each once.
    pub fn skips(&self, instance: &InstanceId, event: EventType, project: i64) -> impl Iterator<Item = &Arc<W>> {
        self.selecting(instance, event, project).filter(|webhook| !webhook.active())
    }

    fn selecting(&self, instance: &InstanceId, event: EventType, project: i64) -> impl Iterator<Item = &Arc<W>> {
        let places = self.instances.get(instance);
        let list = move |key| places.and_then(|places| places.get(&key)).into_iter().flatten();
        list((event, None)).chain(list((event, Some(project))))
    }

    /// Whether any webhook of the instance selects events of this type: active or not, whatever its projects.
    #[must_use]
    pub fn selects(&self, instance: &InstanceId, event: EventType) -> bool {
        self.selections.get(instance).is_some_and(|selections| selections[event.index()] > 0)
    }

    /// Number of webhooks, inactive ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.webhooks.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.webhooks.is_empty()
    }
}

/// The places where a webhook is found.
fn keys<W: Subscription>(webhook: &W) -> impl Iterator<Item = (EventType, Option<i64>)> {
    let projects: Vec<Option<i64>> = match webhook.scope() {
        Scope::All => vec![None],
        Scope::Projects(projects) => projects.iter().copied().map(Some).collect(),
    };
    webhook.events().iter().flat_map(move |event| projects.clone().into_iter().map(|project| (*event, project)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    struct Hook {
        id: i64,
        instance: InstanceId,
        events: Vec<EventType>,
        scope: Scope,
        active: bool,
    }

    impl Subscription for Hook {
        fn id(&self) -> i64 {
            self.id
        }
        fn instance(&self) -> &InstanceId {
            &self.instance
        }
        fn events(&self) -> &[EventType] {
            &self.events
        }
        fn scope(&self) -> &Scope {
            &self.scope
        }
        fn active(&self) -> bool {
            self.active
        }
    }

    fn hook() -> impl Strategy<Value = Hook> {
        let instance = prop_oneof![Just("a"), Just("b")];
        let events = prop::collection::btree_set(0..23_usize, 1..5);
        let scope = prop_oneof![
            Just(Scope::All),
            prop::collection::btree_set(1..5_i64, 0..4).prop_map(|set| Scope::Projects(set.into_iter().collect()))
        ];
        (1..20_i64, instance, events, scope, any::<bool>()).prop_map(|(id, instance, events, scope, active)| Hook {
            id,
            instance: instance.parse().unwrap(),
            events: events.into_iter().map(|index| EventType::ALL[index]).collect(),
            scope,
            active,
        })
    }

    fn sorted(ids: impl Iterator<Item = i64>) -> Vec<i64> {
        let mut ids: Vec<_> = ids.collect();
        ids.sort_unstable();
        ids
    }

    proptest! {
        /// The index agrees with looking at every webhook, after any sequence of changes.
        #[test]
        fn agrees_with_a_scan(changes in prop::collection::vec((hook(), any::<bool>()), 0..60)) {
            let mut index = MatchIndex::default();
            let mut plain: HashMap<i64, Hook> = HashMap::new();
            for (hook, keep) in changes {
                if keep {
                    plain.insert(hook.id, hook.clone());
                    index.insert(hook);
                } else {
                    plain.remove(&hook.id);
                    index.remove(hook.id);
                }
            }
            for instance in ["a", "b", "c"].map(|name| name.parse::<InstanceId>().unwrap()) {
                for event in EventType::ALL {
                    let selected =
                        plain.values().any(|hook| hook.instance == instance && hook.events.contains(event));
                    prop_assert_eq!(index.selects(&instance, *event), selected);
                    for project in 1..6 {
                        let expected = |active| {
                            let selecting = plain.values()
                                .filter(|hook| hook.instance == instance && hook.events.contains(event))
                                .filter(|hook| hook.active == active && hook.scope.contains(project));
                            sorted(selecting.map(|hook| hook.id))
                        };
                        let matches = index.matches(&instance, *event, project).map(|hook| hook.id);
                        prop_assert_eq!(sorted(matches), expected(true));
                        let skips = index.skips(&instance, *event, project).map(|hook| hook.id);
                        prop_assert_eq!(sorted(skips), expected(false));
                    }
                }
            }
            prop_assert_eq!(index.len(), plain.len());
        }
    }
}
