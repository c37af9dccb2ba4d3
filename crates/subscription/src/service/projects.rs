//! Listing the projects that Testmo core has told of.

use proto::{
    error::ApiError,
    v1::{ListProjectsRequest, ListProjectsResponse},
};

use super::{Service, answer, paging};
use crate::{failure, store::Reach};

impl Service {
    pub(super) async fn projects(
        &self,
        reach: &Reach,
        request: &ListProjectsRequest,
    ) -> Result<ListProjectsResponse, ApiError> {
        let page = paging::page(request.page, request.per_page)?;
        let listed = self.store.projects(reach, page).await.map_err(failure::of_store)?;
        let projects = listed.items.into_iter().map(answer::project).collect();
        Ok(ListProjectsResponse { projects, total: listed.total })
    }
}
