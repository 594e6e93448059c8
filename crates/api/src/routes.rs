//! Which methods each path takes.

use poem_openapi::{OpenApi, registry::MetaApi};

/// The paths of the API, and the methods they take.
pub(crate) struct Routes(Vec<(Vec<Option<String>>, String)>);

impl Routes {
    /// Those of `A`.
    pub(crate) fn of<A: OpenApi>() -> Self {
        Self::from_meta(&A::meta())
    }

    fn from_meta(apis: &[MetaApi]) -> Self {
        let paths = apis.iter().flat_map(|it| &it.paths);
        Self(
            paths
                .map(|it| {
                    let mut methods: Vec<_> =
                        it.operations.iter().map(|it| it.method.to_string()).collect();
                    if methods.iter().any(|it| it == "GET") {
                        methods.push("HEAD".to_owned());
                    }
                    (it.path.split('/').map(fixed).collect(), methods.join(", "))
                })
                .collect(),
        )
    }

    /// The methods that `path` takes, as `Allow` lists them.
    pub(crate) fn methods(&self, path: &str) -> String {
        let fits = |pattern: &[Option<String>]| {
            let mut segments = path.split('/');
            let fits = pattern.iter().all(|it| {
                segments.next().is_some_and(|segment| it.as_deref().is_none_or(|it| it == segment))
            });
            fits && segments.next().is_none()
        };
        // A path that is there as it is goes before one that only fits.
        let fixed = |pattern: &[Option<String>]| pattern.iter().filter(|it| it.is_some()).count();
        let found = self.0.iter().filter(|(pattern, _)| fits(pattern));
        found.max_by_key(|(pattern, _)| fixed(pattern)).map_or_else(String::new, |it| it.1.clone())
    }
}

fn fixed(segment: &str) -> Option<String> {
    (!segment.starts_with('{')).then(|| segment.to_owned())
}
